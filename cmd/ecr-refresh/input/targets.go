package input

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/target"
	"ecr-refresh/steps/untrusted"
	"ecr-refresh/steps/xcom"
)

// Targets returns what is to be refreshed: all entries of the targets list, or those of them that --connection-ids
// names; without a list, that option's connections, all of one account and region.
func (r *Reader) Targets() []target.Target {
	entries, from := r.entries()
	hostOf := r.hostOf()
	if from == "" {
		r.needRegistry(entries, hostOf)
	}
	if len(entries) == 0 || from == "" && r.Faulty() {
		return nil // reported
	}
	targets, err := target.Resolve(entries, hostOf)
	if err != nil && from != "" {
		err = fmt.Errorf("read %s: %w", from, err)
	}
	r.Fault(err)
	return targets
}

// Asked returns the entries of the connections that a run would refresh.
func (r *Reader) Asked() []target.Entry {
	entries, _ := r.entries()
	return entries
}

// entries returns the entries of the targets list that are to be refreshed, and where it comes from, or those of one
// registry and "".
func (r *Reader) entries() (entries []target.Entry, from string) {
	text := r.Optional(r.ConnectionIDs)
	list, from := r.list()
	if text == "" && from != "" {
		return list, from
	}
	chosen := map[string]bool{}
	for id := range strings.SplitSeq(cmp.Or(text, names.DockerConnection), ",") {
		if id = strings.TrimSpace(id); id == "" || chosen[id] {
			continue
		}
		chosen[id] = true
		at := slices.IndexFunc(list, func(e target.Entry) bool { return e.ConnectionID == id })
		switch {
		case at >= 0:
			entries = append(entries, list[at])
		case from == "":
			if err := xcom.CheckConnectionID(id); err != nil {
				r.Fault(failure.Permanent(BadIDs, "%w", err))
			}
			account, region := r.Optional(r.Account), r.Optional(r.Region)
			entries = append(entries, target.Entry{ConnectionID: id, Account: account, Region: region})
		case len(list) > 0:
			r.Fault(failure.Permanent(BadIDs, "connection %q is not in %s", id, from))
		}
	}
	if len(chosen) == 0 {
		r.Fault(failure.Permanent(BadIDs, "the list of connection ids is %.40q, which has none", text))
	}
	return entries, from
}

// list reads the targets list, from --targets or the Variable; from is "" where there is none. Account or region on
// the command line take the place of the Variable.
func (r *Reader) list() (entries []target.Entry, from string) {
	oneRegistry := r.IsSet(r.Account.Flag) || r.IsSet(r.Region.Flag)
	path := r.Optional(r.TargetsFile)
	text, from := parts(names.TargetsEnv), sourceOf(names.TargetsEnv)
	if text == "" {
		text, from = r.Variables[names.TargetsVariable], nameOf(names.TargetsEnv)
	}
	var err error
	if path != "" {
		from = fmt.Sprintf("--%s %q", r.TargetsFile.Flag, path)
		file, unread := readFile(path)
		text, err = string(file), unread
		if oneRegistry {
			const form = "%s and --%s or --%s are both set"
			r.Fault(failure.Permanent(Conflict, form, from, r.Account.Flag, r.Region.Flag))
		}
	} else if text == "" || oneRegistry {
		return nil, ""
	}
	if err == nil {
		entries, err = target.Parse(text)
	}
	if err != nil {
		r.Fault(fmt.Errorf("read %s: %w", from, err))
	}
	return entries, from
}

// needRegistry reports what is missing of account and region: it must be part of the host of each connection.
func (r *Reader) needRegistry(entries []target.Entry, hostOf func(id string) string) {
	needed, also := false, ""
	for _, e := range entries {
		name := hostOf(e.ConnectionID)
		if host, err := ecr.ParseHost(name, ""); err == nil && host.Service == ecr.Private {
			continue
		}
		if _, err := connectionOf(e.ConnectionID); err != nil && r.Optional(r.Account)+r.Optional(r.Region) == "" {
			r.Fault(err) // its host would name both
			return
		}
		if needed = true; name != "" {
			const form = ", and connection %q has host %.100q, which is not an ECR registry"
			also = fmt.Sprintf(form, e.ConnectionID, name)
		}
	}
	for _, s := range []Setting{r.Account, r.Region} {
		if needed || r.Optional(s) != "" {
			r.Need(s, also)
		}
	}
}

// hostOf returns the host of a connection as far as it is known here: from the DAG, from Airflow, or from
// AIRFLOW_CONN_<ID>.
func (r *Reader) hostOf() func(id string) string {
	hosts := map[string]string{}
	if text := parts(names.HostsEnv); text != "" && json.Unmarshal([]byte(text), &hosts) != nil {
		r.Fault(failure.Permanent(OldDAG, "read %s: it is not a JSON object of hosts by connection id", names.HostsEnv))
	}
	return func(id string) string {
		conn, _ := connectionOf(id) // step 3 reports what is wrong with it
		host := cmp.Or(hosts[id], r.Hosts[id], conn.Host)
		return cmp.Or(registry.Host(host), ecr.Bare(untrusted.WithoutLogin(host)))
	}
}
