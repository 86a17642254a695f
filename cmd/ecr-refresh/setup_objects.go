package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/connection"
	"ecr-refresh/cmd/ecr-refresh/console"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// The names that the DAG knows.
const (
	poolName      = "systemqueue"
	poolSlots     = 5
	poolUse       = "System maintenance tasks"
	accountKey    = "ecr_aws_account"
	regionKey     = "ecr_aws_region_name"
	targetsKey    = "ecr_targets"
	recipientKey  = "ecr_refresh_recipient"
	privateKeyKey = "ecr_refresh_private_key"
	hintForce     = "look at what differs, then let ecr-refresh setup --force change it"
	notCompared   = "its %s cannot be compared: Airflow does not show it"
)

// object is one thing that Airflow shall have. look tells how it differs from what is wanted, and what cannot be known of
// it; where it is missing, it gives ErrNotFound.
type object struct {
	kind, id string
	look     func(context.Context) (differs []string, note string, err error)
	create   func(context.Context) error
	update   func(context.Context) error
}

// outcome is what setup found and did.
type outcome struct {
	Kind    string   `json:"kind"`
	ID      string   `json:"id"`
	State   string   `json:"state"` // there, created, would create, differs, updated, would update, failed, not tried
	Differs []string `json:"differs"`
	Note    string   `json:"note"`
}

func (o outcome) line() string {
	line := o.Kind + " " + o.ID + ": " + o.State
	if o.State == "there" {
		line = o.Kind + " " + o.ID + ": is there"
	}
	if len(o.Differs) > 0 {
		line += ": " + strings.Join(o.Differs, "; ")
	}
	if o.Note != "" {
		line += " (" + o.Note + ")"
	}
	return console.OneLine(line)
}

// variables are the keys and values of those that are no secret.
func (w wanted) variables() [][2]string {
	if w.targets != "" {
		return [][2]string{{targetsKey, w.targets}}
	}
	return [][2]string{{accountKey, w.account}, {regionKey, w.region}}
}

func (s *setup) objects() []object {
	all := []object{s.pool()}
	for _, v := range s.want.variables() {
		all = append(all, s.variable(v[0], v[1]))
	}
	all = append(all,
		s.connection(s.want.airflow, s.apiDiffers),
		s.connection(airflowclient.Update{
			ID: names.DockerConnection, Type: "docker", Host: s.want.host, Login: "AWS", Description: "Amazon ECR, renewed by ecr-refresh",
		}, s.dockerDiffers))
	if s.want.identity {
		all = append(all, s.identity())
	}
	return all
}

// settleAll settles one object after the other. What Airflow refuses for good does not keep the others from being made;
// when it cannot be reached, or takes no login of the admin, the rest is not tried.
func (s *setup) settleAll(ctx context.Context) (all []outcome, failures []error) {
	down := false
	for _, o := range s.objects() {
		done := outcome{o.kind, o.id, "not tried", []string{}, ""}
		if !down {
			var err error
			if done, err = s.settle(ctx, o); err != nil {
				failures = append(failures, err)
				down = !failure.IsPermanent(err) || !s.adminLogsIn(ctx)
			}
		}
		all = append(all, done)
		if !s.Bool("json") { // at once: who interrupts setup sees what was done
			fmt.Fprintln(s.Stdout, done.line())
		}
	}
	return all, failures
}

func (s *setup) adminLogsIn(ctx context.Context) bool {
	_, err := s.admin.SimpleRole(ctx)
	return err == nil
}

// settle looks, and creates or updates where it may.
func (s *setup) settle(ctx context.Context, o object) (outcome, error) {
	done := outcome{o.kind, o.id, "there", []string{}, ""}
	differs, note, err := o.look(ctx)
	missing := errors.Is(err, airflowclient.ErrNotFound)
	act, doing, did := o.update, "update", "updated"
	if missing {
		act, doing, did = o.create, "create", "created"
	}
	done.Note = note
	if err == nil {
		done.Differs = append(done.Differs, differs...)
	}
	switch {
	case err != nil && !missing:
		doing = "read"
	case !missing && len(differs) == 0:
		return done, nil
	case !missing && !s.force:
		done.State = "differs"
		return done, failure.Permanent(hintForce, "%s %q differs: %s", o.kind, o.id, strings.Join(differs, "; "))
	case s.dry:
		done.State = "would " + doing
		return done, nil
	default:
		done.State, err = did, act(ctx)
	}
	if err != nil {
		done.State = "failed"
		return done, fmt.Errorf("%s %s %q: %w", doing, o.kind, o.id, err)
	}
	return done, nil
}

func differ(what, is, want string) []string {
	if is == want {
		return nil
	}
	return []string{fmt.Sprintf("%s is %.80q, want %q", what, is, want)}
}

func (s *setup) pool() object {
	want := airflowclient.Pool{Name: poolName, Slots: poolSlots, Description: poolUse}
	var is airflowclient.Pool
	return object{
		kind: "pool", id: poolName,
		look: func(ctx context.Context) ([]string, string, error) {
			var err error
			is, err = s.admin.Pool(ctx, poolName)
			return differ("slots", fmt.Sprint(is.Slots), fmt.Sprint(poolSlots)), "", err
		},
		create: func(ctx context.Context) error { return s.admin.CreatePool(ctx, want) },
		update: func(ctx context.Context) error {
			is.Slots = poolSlots // all else is the owner's
			return s.admin.UpdatePool(ctx, is)
		},
	}
}

// variable is one whose value is no secret.
func (s *setup) variable(key, value string) object {
	want := airflowclient.Variable{Key: key, Value: secret.New(value)}
	return object{
		kind: "Variable", id: key,
		look: func(ctx context.Context) ([]string, string, error) {
			v, err := s.admin.Variable(ctx, key)
			switch {
			case err != nil:
				return nil, "", err
			case v.Masked():
				return nil, fmt.Sprintf(notCompared, "value"), nil
			case v.Value.Reveal() == value:
				return nil, s.overruled(ctx, key), nil
			}
			return []string{"its value is another than " + value}, s.overruled(ctx, key), nil
		},
		create: func(ctx context.Context) error { return s.admin.CreateVariable(ctx, want) },
		update: func(ctx context.Context) error { return s.admin.UpdateVariable(ctx, want) },
	}
}

// overruled tells of a targets list, which the DAG takes in the place of account and region.
func (s *setup) overruled(ctx context.Context, key string) string {
	if key == targetsKey {
		return ""
	}
	if _, err := s.admin.Variable(ctx, targetsKey); err != nil {
		return "" // not there
	}
	return "Variable " + targetsKey + " is there, and the DAG takes that"
}

func (s *setup) connection(want airflowclient.Update, differs func(airflowclient.Connection) []string) object {
	return object{
		kind: "connection", id: want.ID,
		look: func(ctx context.Context) ([]string, string, error) {
			is, err := s.admin.Connection(ctx, want.ID)
			all, note := differs(is), ""
			switch {
			case want.Password == nil:
			case err == nil && !is.HasPassword:
				all = append(all, "it has no password")
			case err == nil && s.force:
				all = append(all, "the password is set anew")
			case err == nil:
				note = fmt.Sprintf(notCompared, "password")
			}
			return all, note, err
		},
		create: func(ctx context.Context) error { return s.admin.CreateConnection(ctx, want) },
		update: func(ctx context.Context) error {
			n := want
			n.Description = ""
			return s.admin.PatchConnection(ctx, n)
		},
	}
}

// apiDiffers compares where airflow-api leads to: host, port and schema may say it in several ways. The type may be any:
// where the HTTP provider is not installed, Airflow's command line makes "generic" of http.
func (s *setup) apiDiffers(is airflowclient.Connection) []string {
	port := ""
	if is.Port != 0 {
		port = fmt.Sprint(is.Port)
	}
	base, err := connection.Connection{Type: is.Type, Schema: is.Schema, Host: is.Host, Port: port}.BaseURL()
	if err != nil {
		base = "none"
	}
	return append(differ("its URL", strings.TrimRight(base, "/"), s.want.base), differ("login", is.Login, s.want.airflow.Login)...)
}

// dockerDiffers returns the comparison of a connection with the bare registry that tasks log in to.
func (s *setup) dockerDiffers(is airflowclient.Connection) []string {
	all := slices.Concat(differ("type", is.Type, "docker"), differ("host", is.Host, s.want.host), differ("login", is.Login, "AWS"))
	if is.Port != 0 {
		all = append(all, fmt.Sprintf("it has port %d, want none", is.Port))
	}
	return all
}

// identity is one object of two Variables, since one without the other is of no use. The private key is written first: a
// recipient alone would make step 1 seal what step 2 cannot open.
func (s *setup) identity() object {
	write := func(ctx context.Context) error {
		id, err := secret.NewIdentity()
		if err != nil {
			return err
		}
		for _, v := range []airflowclient.Variable{
			{Key: privateKeyKey, Value: id.PrivateKey()}, {Key: recipientKey, Value: secret.New(id.Recipient())},
		} {
			if err := s.writeVariable(ctx, v); err != nil {
				return fmt.Errorf("write Variable %s: %w", v.Key, err)
			}
		}
		return nil
	}
	return object{kind: "identity", id: recipientKey + ", " + privateKeyKey, look: s.lookAtIdentity, create: write, update: write}
}

func (s *setup) lookAtIdentity(ctx context.Context) (differs []string, note string, err error) {
	_, recipient := s.admin.Variable(ctx, recipientKey)
	_, key := s.admin.Variable(ctx, privateKeyKey)
	for _, err := range []error{recipient, key} {
		if err != nil && !errors.Is(err, airflowclient.ErrNotFound) {
			return nil, "", err
		}
	}
	switch {
	case recipient != nil && key != nil:
		return nil, "", recipient
	case recipient != nil:
		differs = []string{recipientKey + " is missing, so that a new pair has to be made"}
	case key != nil:
		differs = []string{privateKeyKey + " is missing, so that a new pair has to be made"}
	default:
		note = "whether the two fit together cannot be seen: Airflow does not show the key"
	}
	return differs, note, nil
}

func (s *setup) writeVariable(ctx context.Context, v airflowclient.Variable) error {
	err := s.admin.UpdateVariable(ctx, v)
	if errors.Is(err, airflowclient.ErrNotFound) {
		return s.admin.CreateVariable(ctx, v)
	}
	return err
}
