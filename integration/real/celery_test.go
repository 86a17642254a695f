package real

import (
	"maps"
	"strings"
	"testing"

	"ecr-refresh/integration/real/peers"
)

// TestRealCelery runs the DAG with the CeleryExecutor on two workers that share nothing: OS users, homes, AIRFLOW_HOMEs
// and DAG folders are their own. Steps 1 and 3 run on worker a, and step 2 on worker b.
func TestRealCelery(t *testing.T) {
	w := startWorld(t, "a", "b")
	c := &celery{world: w, a: w.Airflow.Workers()[0], b: w.Airflow.Workers()[1]}
	c.dag = c.copy(t, "spread", variant{edits: queues(c.a, c.b, c.a)})
	t.Run("no identity", c.noIdentity)
	t.Run("another identity", c.anotherIdentity)
	t.Run("keygen's variables", c.keygen)
	t.Run("docker operator", c.dockerOperator)
	t.Run("unserved queue", c.unservedQueue)
	t.Run("no secret left", w.noSecretLeft)
}

// celery is two workers, and the DAG spread over them.
type celery struct {
	*world
	a, b *peers.Worker
	dag  *dag
}

// queues is an edit that assigns each step to the queue of one worker.
func queues(one, two, three *peers.Worker) []string {
	all := map[string]string{extract: one.Queue, update: two.Queue, test: three.Queue}
	return []string{`"task_id": task_id, `, `"task_id": task_id, "queue": ` + asJSON(all) + `[task_id], `}
}

// noIdentity: step 1 makes an identity for its host, and step 2 runs on another host.
func (c *celery) noIdentity(t *testing.T) {
	r := c.dag.run(t)
	r.wantRed(t, update, 2, "the private key of recipient", r.recipient(t), "ecr-refresh keygen",
		"set Variables ecr_refresh_recipient")
}

// anotherIdentity: the host of step 2 has made an identity of its own when it once ran step 1.
func (c *celery) anotherIdentity(t *testing.T) {
	alone := c.copy(t, "alone", variant{edits: queues(c.b, c.b, c.b)}).run(t)
	alone.wantGreen(t)
	r := c.dag.run(t)
	own, others := alone.recipient(t), r.recipient(t)
	if own == others {
		t.Errorf("both workers have the identity of %s", own)
	}
	r.wantRed(t, update, 2, own, others, "ecr-refresh keygen", "ecr_refresh_recipient", "ecr_refresh_private_key")
}

// keygen sets what the errors before have asked for.
func (c *celery) keygen(t *testing.T) {
	keys := c.setKeys(t, "ecr_refresh")
	argv := watchArgv()
	c.green(t, c.dag, keys)
	wantNoPiece(t, "the argv of a process", argv(), c.newestToken(t))
}

// green runs a DAG whose steps 1 and 3 belong to worker a and step 2 to worker b.
func (c *celery) green(t *testing.T, d *dag, keys identity) {
	t.Helper()
	r := d.run(t)
	r.wantGreen(t)
	users := map[string]string{}
	for task, ti := range r.tasks(t) {
		users[task] = ti.User
	}
	if want := map[string]string{extract: c.a.User, update: c.b.User, test: c.a.User}; !maps.Equal(users, want) {
		t.Errorf("the tasks ran as %v, want %v", users, want)
	}
	if got := r.recipient(t); got != keys.Recipient {
		t.Errorf("the token is encrypted to %s, want %s", got, keys.Recipient)
	}
	token := c.newestToken(t)
	d.wantPassword(t, token)
	r.wantNoPiece(t, token, keys.PrivateKey, c.Sandbox.ECR.Credentials().SecretAccessKey)
}

// dockerOperator: the workers start containers. They have the image from the Engine of this machine, as a group lets
// them.
func (c *celery) dockerOperator(t *testing.T) {
	c.loadImage(t)
	d := c.copy(t, "spread", variant{docker: true, edits: queues(c.a, c.b, c.a)})
	c.green(t, d, c.identity)
	c.noContainer(t)
}

// recipient returns the public key to which a run's token was encrypted.
func (r run) recipient(t *testing.T) string {
	t.Helper()
	to := r.result(t, extract).Recipient
	if !strings.HasPrefix(to, "age1") {
		t.Fatalf("the result of step 1 names no recipient: %q", to)
	}
	return to
}

// unservedQueue: doctor names the queue that no worker serves.
func (c *celery) unservedQueue(t *testing.T) {
	d := c.copy(t, "unserved", variant{edits: []string{`QUEUE = "systemqueue"`, `QUEUE = "nobody"`,
		`dagrun_timeout=timedelta(minutes=30)`, `dagrun_timeout=timedelta(seconds=40)`}})
	r := d.start(t)
	const why = `no worker of queue "nobody" has begun it`
	wantCheck(t, c.diagnoseTask(t, d, why), "task "+extract, "ok", why)
	r.wait(t)
	all := c.diagnose(t, 1, "admin", d.of("--run", "--timeout", "20s")...)
	wantCheck(t, all, "dry run", "fail", "is still running, and goes on in Airflow")
	wantCheck(t, all, "task "+extract, "fail", why, "let a worker serve queue nobody")
}
