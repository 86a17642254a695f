package real

import (
	"encoding/json"
	"os/exec"
	"os/user"
	"strings"
	"testing"

	"ecr-refresh/integration/real/peers"
)

// TestRealCelery runs the DAG with the CeleryExecutor on two workers that share nothing: OS users, homes, AIRFLOW_HOMEs
// and DAG folders are their own. Steps 1 and 3 run on worker a, and step 2 on worker b.
func TestRealCelery(t *testing.T) {
	t.Cleanup(func() { noUserLeft(t) }) // runs after the peers have been stopped
	w := startWorld(t, "a", "b")
	c := &celery{world: w, a: w.Airflow.Workers()[0], b: w.Airflow.Workers()[1]}
	c.dag = c.spread(t, "spread", c.a, c.b, c.a)
	t.Run("nothing shared", c.nothingShared)
	t.Run("no identity", c.noIdentity)
	t.Run("another identity", c.anotherIdentity)
	t.Run("keygen's variables", c.keygen)
	t.Run("docker operator", c.dockerOperator)
	t.Run("no secret left", w.noSecretLeft)
}

// celery is two workers, and the DAG spread over them.
type celery struct {
	*world
	a, b *peers.Worker
	dag  *dag
}

// spread copies the DAG and assigns each step to the queue of one worker.
func (c *celery) spread(t *testing.T, name string, workers ...*peers.Worker) *dag {
	t.Helper()
	return c.copy(t, name, peers.SandboxHost, queues(workers...)...)
}

// queues is an edit that assigns each step to the queue of one worker.
func queues(workers ...*peers.Worker) []string {
	all := map[string]string{}
	for i, task := range []string{extract, update, test} {
		all[task] = workers[i].Queue
	}
	return []string{"        task_id=task_id,\n",
		"        task_id=task_id,\n        queue=" + asJSON(all) + "[task_id],\n"}
}

// nothingShared fails where one worker can read what is the other's or Airflow's own.
func (c *celery) nothingShared(t *testing.T) {
	for of, others := range map[*peers.Worker][]string{
		c.a: {c.b.Home, c.Airflow.Home, c.Airflow.DAGs},
		c.b: {c.a.Home, c.Airflow.Home, c.Airflow.DAGs},
	} {
		for _, other := range others {
			if out, err := of.Run(t.Context(), "ls", other); err == nil || !strings.Contains(out, "Permission denied") {
				t.Errorf("%s can list %s: %s", of.User, other, out)
			}
		}
		if out, err := of.Run(t.Context(), "ls", of.Home); err != nil {
			t.Errorf("%s cannot list its home: %s", of.User, out)
		}
	}
}

// noIdentity: step 1 makes an identity for its host, and step 2 runs on another host.
func (c *celery) noIdentity(t *testing.T) {
	r := c.dag.run(t)
	r.wantRed(t, update, "2", "the private key of recipient", recipient(t, r), "ecr-refresh keygen",
		"set the two Airflow Variables")
	r.wantUsers(t, map[string]string{extract: c.a.User, update: c.b.User})
	c.dag.wantOld(t)
}

// anotherIdentity: the host of step 2 has made an identity of its own when it once ran step 1.
func (c *celery) anotherIdentity(t *testing.T) {
	alone := c.spread(t, "alone", c.b, c.b, c.b).run(t)
	alone.wantGreen(t)
	r := c.dag.run(t)
	own, others := recipient(t, alone), recipient(t, r)
	if own == others {
		t.Errorf("both workers have the identity of %s", own)
	}
	r.wantRed(t, update, "2", own, others, "ecr-refresh keygen", "ecr_refresh_recipient", "ecr_refresh_private_key")
	c.dag.wantOld(t)
}

// keygen sets what the errors before have asked for.
func (c *celery) keygen(t *testing.T) {
	recipientOfAll := c.setIdentity(t)
	argv := watchArgv()
	r, token := c.green(t, c.dag)
	if got := recipient(t, r); got != recipientOfAll {
		t.Errorf("the token is encrypted to %s, want %s", got, recipientOfAll)
	}
	wantNoPiece(t, "the argv of a process", argv(), token)
}

// green runs a DAG whose steps 1 and 3 belong to worker a and step 2 to worker b, and returns what it published.
func (c *celery) green(t *testing.T, d *dag) (r run, token string) {
	t.Helper()
	r = d.run(t)
	r.wantGreen(t)
	r.wantUsers(t, map[string]string{extract: c.a.User, update: c.b.User, test: c.a.User})
	token = c.newestToken(t)
	if c.password(t, d.connection) != token {
		t.Error("Airflow's stored password is not ECR's token")
	}
	r.wantNoPiece(t, token)
	return r, token
}

// dockerOperator: the workers start containers. They have the image from the Engine of this machine, as a group lets
// them.
func (c *celery) dockerOperator(t *testing.T) {
	c.loadImage(t)
	d := c.dockerCopy(t, "spread", nil, queues(c.a, c.b, c.a)...)
	r, _ := c.green(t, d)
	if to := r.textDocument(t, extract)["recipient"]; to != c.identity.Recipient {
		t.Errorf("the token is encrypted to %v, want %s", to, c.identity.Recipient)
	}
	r.wantNoPiece(t, c.identity.PrivateKey, c.Sandbox.ECR.Credentials().SecretAccessKey)
	c.wantNoContainer(t, d.connection)
}

// setIdentity sets the two Variables that keygen prints, and returns the recipient.
func (c *celery) setIdentity(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), c.bin, "keygen", "--json").Output()
	must(t, err)
	var id struct {
		Recipient  string `json:"ecr_refresh_recipient"`
		PrivateKey string `json:"ecr_refresh_private_key"`
	}
	must(t, json.Unmarshal(out, &id))
	c.secrets.add(id.PrivateKey)
	must(t, c.Airflow.SetVariable(t.Context(), "ecr_refresh_recipient", id.Recipient))
	must(t, c.Airflow.SetVariable(t.Context(), "ecr_refresh_private_key", id.PrivateKey))
	return id.Recipient
}

// recipient returns the public key to which a run's token was encrypted.
func recipient(t *testing.T, r run) string {
	t.Helper()
	to, _ := r.document(t, extract)["recipient"].(string)
	if !strings.HasPrefix(to, "age1") {
		t.Fatalf("document 1 names no recipient: %q", to)
	}
	return to
}

// wantUsers compares the OS users that ran the tasks.
func (r run) wantUsers(t *testing.T, want map[string]string) {
	t.Helper()
	tasks := r.tasks(t)
	for task, user := range want {
		if tasks[task].User != user {
			t.Errorf("%s ran as %s, want %s", task, tasks[task].User, user)
		}
	}
}

// noUserLeft fails when the workers' users are still there.
func noUserLeft(t *testing.T) {
	for _, name := range []string{"a", "b"} {
		if _, err := user.Lookup(peers.UserName(name)); err == nil {
			t.Errorf("the user of worker %s is left", name)
		}
	}
}
