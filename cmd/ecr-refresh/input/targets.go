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
)

// Targets returns what is to be refreshed: all entries of the targets list, or those of them that --connection-ids
// names; without a list, that option's connections, all of one account and region.
func (r *Reader) Targets() []target.Target {
	ids := r.IDs()
	entries, from := r.Entries()
	if from == "" {
		entries = r.ofOneRegistry(ids)
	} else if len(ids) > 0 && len(entries) > 0 {
		entries = r.chosen(entries, from, ids)
	}
	if len(entries) == 0 {
		return nil // reported
	}
	targets, err := target.Resolve(entries, r.hostOf())
	r.Fault(err)
	return targets
}

// IDs returns the connection ids that are given, each once.
func (r *Reader) IDs() (ids []string) {
	text := r.Optional(r.ConnectionIDs)
	for id := range strings.SplitSeq(text, ",") {
		if id = strings.TrimSpace(id); id != "" && !slices.Contains(ids, id) {
			r.Fault(target.CheckConnectionID(id))
			ids = append(ids, id)
		}
	}
	if text != "" && len(ids) == 0 {
		r.Fault(fmt.Errorf("the list of connection ids is %q, which has none", text))
	}
	return ids
}

// WantedIDs returns the ids of the connections that a run would refresh.
func (r *Reader) WantedIDs() []string {
	if ids := r.IDs(); len(ids) > 0 {
		return ids
	}
	entries, from := r.Entries()
	if from == "" {
		return []string{names.DockerConnection}
	}
	ids := make([]string, len(entries))
	for i, e := range entries {
		ids[i] = e.ConnectionID
	}
	return ids
}

// Entries reads the targets list, from --targets or the Variable; from is "" where there is none. Account or region on
// the command line take the place of the Variable.
func (r *Reader) Entries() (entries []target.Entry, from string) {
	oneRegistry := r.IsSet(r.Account.Flag) || r.IsSet(r.Region.Flag)
	path := strings.TrimSpace(r.String(r.TargetsFile.Flag))
	text, _ := parts(names.TargetsEnv)
	var err error
	switch {
	case path != "":
		from = "--" + r.TargetsFile.Flag
		text, err = readFile(path)
		if oneRegistry {
			const form, advice = "%s and --%s or --%s are both set", "give the list, or account and region"
			r.Fault(failure.Permanent(Conflict, form, from, r.Account.Flag, r.Region.Flag).Want(advice))
		}
	case text == "" || oneRegistry:
		return nil, ""
	default:
		from = sourceOf(names.TargetsEnv)
	}
	if err == nil {
		entries, err = target.Parse(text)
	}
	if err != nil {
		r.Fault(fmt.Errorf("read %s: %w", from, err))
	}
	return entries, from
}

// chosen returns the entries of ids.
func (r *Reader) chosen(entries []target.Entry, from string, ids []string) (chosen []target.Entry) {
	for _, id := range ids {
		at := slices.IndexFunc(entries, func(e target.Entry) bool { return e.ConnectionID == id })
		if at < 0 {
			r.Fault(failure.Permanent(NotATarget, "connection %q is not in %s", id, from))
			continue
		}
		chosen = append(chosen, entries[at])
	}
	return chosen
}

// ofOneRegistry returns entries of ids for one account and region. What is missing of the two must be part of each
// connection's host.
func (r *Reader) ofOneRegistry(ids []string) (entries []target.Entry) {
	if len(ids) == 0 {
		ids = []string{names.DockerConnection}
	}
	hostOf, also := r.hostOf(), ""
	lacks := slices.IndexFunc(ids, func(id string) bool {
		host, err := ecr.ParseHost(hostOf(id))
		return err != nil || host.Service != ecr.Private
	})
	if lacks >= 0 && hostOf(ids[lacks]) != "" {
		const format = ", and connection %q has host %.100q, which is not an ECR registry"
		also = fmt.Sprintf(format, ids[lacks], hostOf(ids[lacks]))
	}
	need := func(s Setting) string {
		if r.Optional(s) == "" && lacks < 0 {
			return ""
		}
		return r.Need(s, also)
	}
	account, region := need(r.Account), need(r.Region)
	if r.Faulty() {
		return nil
	}
	for _, id := range ids {
		entries = append(entries, target.Entry{ConnectionID: id, Account: account, Region: region})
	}
	return entries
}

// SetHosts adds the hosts of connections, by id, as Airflow reported them.
func (r *Reader) SetHosts(hosts map[string]string) { r.hosts = hosts }

// hostOf returns the host of a connection as far as it is known here: from the DAG, from SetHosts, or from
// AIRFLOW_CONN_<ID>.
func (r *Reader) hostOf() func(id string) string {
	hosts := map[string]string{}
	if text, _ := parts(names.HostsEnv); text != "" && json.Unmarshal([]byte(text), &hosts) != nil {
		r.Fault(failure.Permanent(OldDAG, "read %s: it is not a JSON object of hosts by connection id", names.HostsEnv))
	}
	return func(id string) string {
		host := cmp.Or(hosts[id], r.hosts[id])
		if host == "" {
			conn, _, _ := connectionOf(id) // step 3 reports what is wrong with it
			host = conn.Host
		}
		return registry.Host(host)
	}
}
