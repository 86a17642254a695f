package setup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/connection"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/secret"
)

// object is one thing that Airflow shall have.
type object struct {
	kind, id string
	// look returns how the object differs from what is wanted and what cannot be known, or ErrNotFound.
	look   func(context.Context) (differs []string, note string, err error)
	create func(context.Context) error
	update func(context.Context) error
}

const notCompared = "its %s cannot be compared: Airflow does not show it"

func (s Setup) objects() []object {
	all := []object{s.pool()}
	for _, v := range s.variables() {
		all = append(all, s.variable(v[0], v[1]))
	}
	all = append(all,
		s.connection(airflowclient.Update{
			ID: names.AirflowConnection, Type: "http", Host: s.BaseURL, Login: s.Login, Password: s.Password,
			Description: "Airflow's REST API, for ecr-refresh",
		}, s.airflowDiffers),
		s.connection(airflowclient.Update{
			ID: names.DockerConnection, Type: "docker", Host: s.Registry, Login: "AWS",
			Description: "Amazon ECR, refreshed by ecr-refresh",
		}, s.dockerDiffers))
	if s.KeyPair {
		all = append(all, s.keyPair())
	}
	return all
}

// differ compares a field.
func differ(what, is, want string) []string {
	if is == want {
		return nil
	}
	return []string{fmt.Sprintf("%s is %.80q, want %q", what, is, want)}
}

func (s Setup) pool() object {
	want := airflowclient.Pool{Name: names.Pool, Slots: names.PoolSlots, Description: names.PoolUse}
	var is airflowclient.Pool
	return object{
		kind: "pool", id: want.Name,
		look: func(ctx context.Context) (_ []string, _ string, err error) {
			is, err = s.Admin.Pool(ctx, want.Name)
			return differ("slots", strconv.Itoa(is.Slots), strconv.Itoa(want.Slots)), "", err
		},
		create: func(ctx context.Context) error { return s.Admin.CreatePool(ctx, want) },
		update: func(ctx context.Context) error {
			is.Slots = want.Slots // all else is the owner's
			return s.Admin.UpdatePool(ctx, is)
		},
	}
}

// variable is one whose value is no secret.
func (s Setup) variable(key, value string) object {
	want := airflowclient.Variable{Key: key, Value: secret.New(value)}
	return object{
		kind: "Variable", id: key,
		look: func(ctx context.Context) (differs []string, note string, err error) {
			is, err := s.Admin.Variable(ctx, key)
			if err != nil {
				return nil, "", err
			}
			if is.Masked() {
				return nil, fmt.Sprintf(notCompared, "value"), nil
			}
			if is.Value.Reveal() != value {
				differs = []string{"its value is not " + value}
			}
			if _, err := s.Admin.Variable(ctx, names.TargetsVariable); err == nil && key != names.TargetsVariable {
				note = "overridden by Variable " + names.TargetsVariable
			}
			return differs, note, nil
		},
		create: func(ctx context.Context) error { return s.Admin.CreateVariable(ctx, want) },
		update: func(ctx context.Context) error { return s.Admin.UpdateVariable(ctx, want) },
	}
}

func (s Setup) connection(want airflowclient.Update, compare func(airflowclient.Connection) []string) object {
	return object{
		kind: "connection", id: want.ID,
		look: func(ctx context.Context) (differs []string, note string, err error) {
			is, err := s.Admin.Connection(ctx, want.ID)
			differs = compare(is)
			switch {
			case want.ID != names.AirflowConnection: // docker_default gets its password from the DAG
			case !is.HasPassword:
				differs = append(differs, "it has no password")
			case s.Force:
				differs = append(differs, "the password is set again")
			default:
				note = fmt.Sprintf(notCompared, "password")
			}
			return differs, note, err
		},
		create: func(ctx context.Context) error { return s.Admin.CreateConnection(ctx, want) },
		update: func(ctx context.Context) error {
			changed := want
			changed.Description = "" // the owner's
			return s.Admin.PatchConnection(ctx, changed)
		},
	}
}

// airflowDiffers compares the URL that a connection leads to: several sets of host, port and schema have the same. The
// type may be any: without the HTTP provider, Airflow's command line makes "generic" of http.
func (s Setup) airflowDiffers(is airflowclient.Connection) []string {
	conn := connection.Connection{Type: is.Type, Schema: is.Schema, Host: is.Host}
	if is.Port != 0 {
		conn.Port = strconv.Itoa(is.Port)
	}
	url, err := conn.BaseURL()
	if err != nil {
		url = "none"
	}
	return append(differ("its URL", strings.TrimRight(url, "/"), s.BaseURL), differ("login", is.Login, s.Login)...)
}

func (s Setup) dockerDiffers(is airflowclient.Connection) []string {
	all := slices.Concat(
		differ("type", is.Type, "docker"), differ("host", is.Host, s.Registry), differ("login", is.Login, "AWS"))
	if is.Port != 0 {
		all = append(all, "it has port "+strconv.Itoa(is.Port)+", want none")
	}
	return all
}

// keyPair is one object of two Variables, since one without the other is of no use. It writes the private key first:
// with the public key alone, step 1 would encrypt what step 2 cannot decrypt.
func (s Setup) keyPair() object {
	const public, private = names.RecipientVariable, names.PrivateKeyVariable
	write := func(ctx context.Context) error {
		id, err := secret.NewIdentity()
		if err != nil {
			return err
		}
		for _, v := range []airflowclient.Variable{
			{Key: private, Value: id.PrivateKey()}, {Key: public, Value: secret.New(id.Recipient())},
		} {
			err := s.Admin.UpdateVariable(ctx, v)
			if errors.Is(err, airflowclient.ErrNotFound) {
				err = s.Admin.CreateVariable(ctx, v)
			}
			if err != nil {
				return fmt.Errorf("write Variable %s: %w", v.Key, err)
			}
		}
		return nil
	}
	look := func(ctx context.Context) (differs []string, note string, err error) {
		for _, key := range []string{public, private} {
			if _, err := s.Admin.Variable(ctx, key); errors.Is(err, airflowclient.ErrNotFound) {
				differs = append(differs, key+" is missing: a new pair is needed")
			} else if err != nil {
				return nil, "", err
			}
		}
		switch len(differs) {
		case 0:
			note = "whether the two match cannot be checked: Airflow does not show the private key"
		case 2:
			err = airflowclient.ErrNotFound
		}
		return differs, note, err
	}
	return object{kind: "encryption key pair", id: public + ", " + private, look: look, create: write, update: write}
}
