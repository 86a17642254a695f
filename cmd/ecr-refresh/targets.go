package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/target"
)

const (
	targetsEnv   = "AIRFLOW_VAR_ECR_TARGETS"
	hostsEnv     = "ECR_REFRESH_CONNECTION_HOSTS"
	dockerID     = "docker_default"
	maxTargets   = 8 << 20
	hintDeclared = "a connection id that is given chooses among the declared targets"
)

// targetList reads what is to be renewed: the declared targets, or those of them that --connection-ids names; else that
// option's connections, all of one account and region.
func (c *call) targetList() []target.Target {
	ids := c.ids()
	declared, found := c.declared()
	if !found {
		declared = c.ofOneRegistry(ids)
	} else if len(ids) > 0 {
		declared = c.chosen(declared, ids)
	}
	if len(declared) == 0 {
		return nil // told already
	}
	targets, err := target.Resolve(declared, c.hostOf())
	c.fault(err)
	return targets
}

// ids gives the connection ids that were given, each once.
func (c *call) ids() (ids []string) {
	text := c.optional(c.connectionIDs)
	for id := range strings.SplitSeq(text, ",") {
		if id = strings.TrimSpace(id); id != "" && !slices.Contains(ids, id) {
			c.fault(target.CheckConnectionID(id))
			ids = append(ids, id)
		}
	}
	if text != "" && len(ids) == 0 {
		c.missing("connection ids", c.connectionIDs.names())
	}
	return ids
}

// declared reads the targets list from --targets or the Variable. Account and region on the command line stand for no list.
func (c *call) declared() (declared []target.Entry, found bool) {
	from := "--" + c.targets.flag
	path := strings.TrimSpace(c.String(c.targets.flag))
	text, err := readTargets(path)
	if path == "" {
		from = targetsEnv
		text, _ = inParts(targetsEnv)
		if text == "" || c.IsSet(c.account.flag) || c.IsSet(c.region.flag) {
			return nil, false
		}
	} else if c.IsSet(c.account.flag) || c.IsSet(c.region.flag) {
		c.fault(failure.Permanent("give one of them", "--%s beside --%s or --%s", c.targets.flag, c.account.flag, c.region.flag))
	}
	if err == nil {
		declared, err = target.Parse(text)
	}
	if err != nil {
		c.fault(failure.Permanent(failure.Kind(failure.Hint(err)), "read %s: %w", from, err))
	}
	return declared, true
}

func readTargets(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxTargets+1))
	if err == nil && len(text) > maxTargets {
		err = fmt.Errorf("it is longer than %d bytes", maxTargets)
	}
	return string(text), err
}

// chosen keeps the declared targets of ids.
func (c *call) chosen(declared []target.Entry, ids []string) (chosen []target.Entry) {
	for _, id := range ids {
		at := slices.IndexFunc(declared, func(d target.Entry) bool { return d.ConnectionID == id })
		if at < 0 {
			c.fault(failure.Permanent(hintDeclared, "connection %q is not among the declared targets", id))
			continue
		}
		chosen = append(chosen, declared[at])
	}
	return chosen
}

// ofOneRegistry declares ids for one account and region. Where one of the two is missing, each connection's own host must
// have it.
func (c *call) ofOneRegistry(ids []string) (declared []target.Entry) {
	if len(ids) == 0 {
		ids = []string{dockerID}
	}
	hostOf := c.hostOf()
	check := func(s setting, check func(string) error) string {
		if c.optional(s) == "" && !slices.ContainsFunc(ids, func(id string) bool { return hostOf(id) == "" }) {
			return ""
		}
		return c.need(s, check)
	}
	account, region := check(c.account, ecr.CheckAccount), check(c.region, ecr.CheckRegion)
	if len(c.faults) > 0 {
		return nil
	}
	for _, id := range ids {
		declared = append(declared, target.Entry{ConnectionID: id, Account: account, Region: region})
	}
	return declared
}

// hostOf gives the host of a connection as far as it is known here: from the DAG, or from AIRFLOW_CONN_<ID>.
func (c *call) hostOf() func(id string) string {
	hosts := map[string]string{}
	if text, _ := inParts(hostsEnv); text != "" && json.Unmarshal([]byte(text), &hosts) != nil {
		c.fault(failure.Permanent("deploy the DAG of this version", "read %s: it is not a JSON object of hosts by connection id", hostsEnv))
	}
	return func(id string) string {
		host := cmp.Or(hosts[id], c.hosts[id])
		if host == "" {
			conn, _, _ := connectionFromEnv(id) // what is wrong with it, step 3 tells
			host = conn.host
		}
		return registry.Host(host)
	}
}
