package real

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/dags"
	"ecr-refresh/integration/real/peers"
	"ecr-refresh/steps/secret"
)

// TestRealUI is an engineer at Airflow's UI: logs in, triggers the DAG with the form, waits for three green tasks, and
// reads every page on which a secret could show. What Airflow sends for these pages is read too, shown or not.
func TestRealUI(t *testing.T) {
	w := startWorld(t)
	w.setKeys(t)
	w.setDocker(t, "docker_default", peers.SandboxHost)
	must(t, w.Airflow.Deploy(dags.RefreshDockerTokenFile, dags.RefreshDockerToken))
	u := &ui{world: w, browser: startBrowser(t, w.Airflow.URL, w.secrets)}
	u.logIn(t)
	u.deployed(t)
	u.refreshed(t)
	u.graph(t)
	u.dryRun(t)
	u.lists(t)
	u.nothingShown(t)
}

// ui is a browser at the Airflow of a world.
type ui struct {
	*world
	*browser
}

// setKeys sets the two Variables that keygen prints: the private key is one more secret on its way.
func (w *world) setKeys(t *testing.T) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), w.bin, "keygen", "--json").Output()
	must(t, err)
	var keys identity
	must(t, json.Unmarshal(out, &keys))
	w.secrets.add(keys.PrivateKey)
	must(t, w.Airflow.SetVariable(t.Context(), "ecr_refresh_recipient", keys.Recipient))
	must(t, w.Airflow.SetVariable(t.Context(), "ecr_refresh_private_key", keys.PrivateKey))
}

// logIn uses the form of the Simple auth manager, as admin: the other user's password is the DAG's, and a secret.
func (u *ui) logIn(t *testing.T) {
	admin := u.Airflow.Users["admin"]
	u.open(t, "/", "Sign into Airflow")
	u.fill(t, "username", admin.User)
	u.fill(t, "password", admin.Password)
	u.click(t, `//button[normalize-space(.)="Sign in"]`)
	u.wantWords(t, "after the login", "Dags", "Admin")
}

// Heights of the window for what is shorter or longer than a page.
const graphHeight, formHeight = 560, 1100

const dagPage = "/dags/" + deployedDAG

// deployed waits for the DAG to be parsed.
func (u *ui) deployed(t *testing.T) {
	_, err := u.Airflow.WaitParsed(t.Context(), deployedDAG, time.Time{})
	must(t, err)
	u.visit(t, dagPage, deployedDAG, "55 5,11,17,23 * * *", extract, update, test)
}

// graph looks at the DAG's other view, and goes back to the first.
func (u *ui) graph(t *testing.T) {
	u.resize(t, graphHeight)
	u.open(t, dagPage, deployedDAG)
	u.click(t, `//button[contains(@aria-label, "Graph")]`)
	u.visit(t, dagPage, "BashOperator") // it opens in the view that was chosen
	u.picture(t, "dag-graph.png", "//body")
	u.click(t, `//button[contains(@aria-label, "Grid")]`)
	u.resize(t, windowHeight)
}

// refreshed is a run with the form as it opens.
func (u *ui) refreshed(t *testing.T) {
	id := u.trigger(t, "", false)
	u.green(t, id)
	must(t, u.Airflow.WaitIdle(t.Context(), deployedDAG, runLimit)) // the scheduler has added a run of its own
	if token := u.newestToken(t); u.password(t, "docker_default") != token {
		t.Error("Airflow's stored password is not ECR's token")
	}
	u.tasks(t, id, "has the new token", "Login Succeeded")
}

// dryRun is a run with the form filled in: other connections than the usual one, and the switch turned on.
func (u *ui) dryRun(t *testing.T) {
	chosen, before := []string{"docker_one", "docker_two"}, map[string]string{}
	for _, id := range chosen {
		before[id] = u.setDocker(t, id, peers.SandboxHost)
	}
	id := u.trigger(t, strings.Join(chosen, ", "), true)
	u.green(t, id)
	r := run{world: u.world, dag: deployedDAG, id: id}
	all := r.document(t, update)["connections"].([]any)
	if len(all) != len(chosen) {
		t.Errorf("document 2 is of %d connections, want %q", len(all), chosen)
	}
	for i, c := range all {
		c := c.(map[string]any)
		if c["connection_id"] != chosen[i] || c["published"] != false {
			t.Errorf(`document 2 of a dry run has %v, "published": %v`, c["connection_id"], c["published"])
		}
		if u.password(t, chosen[i]) != before[chosen[i]] {
			t.Errorf("a dry run has changed the password of %s", chosen[i])
		}
	}
	if run := u.runInAPI(t, id); !run.DryRun || run.State != "success" {
		t.Errorf("the API's client reads the dry run as %+v", run)
	}
	u.secrets.add(u.newestToken(t))
	u.tasks(t, id, "dry run: connection", "answers") // Docker, which rejects the old passwords, and that is no error
}

// runInAPI is a run as our client reads it.
func (u *ui) runInAPI(t *testing.T, id string) airflowclient.DAGRun {
	t.Helper()
	viewer := u.Airflow.Users["viewer"]
	client, err := airflowclient.New(airflowclient.Config{BaseURL: u.Airflow.URL, Login: viewer.User,
		Password: secret.New(viewer.Password)})
	must(t, err)
	runs, err := client.DAGRuns(t.Context(), deployedDAG, 100)
	must(t, err)
	i := slices.IndexFunc(runs, func(r airflowclient.DAGRun) bool { return r.ID == id })
	if i < 0 {
		t.Fatalf("the API's client reads no run %s", id)
	}
	return runs[i]
}

// trigger opens the DAG's form, fills it in and sends it; it returns the run's id.
func (u *ui) trigger(t *testing.T, connectionIDs string, dry bool) string {
	t.Helper()
	_, before := u.triggered()
	u.open(t, dagPage, deployedDAG)
	u.click(t, `//button[@aria-label="Trigger Dag"]`)
	u.wait(t, "the form", `document.querySelector("[role=dialog] input[name=element_connection_ids]")?.value === ""`)
	u.wantWords(t, "of the form", "Connections to refresh, joined by commas", "Check everything, update nothing")
	u.look(t, "of the form")
	if dry {
		u.resize(t, formHeight)
		u.picture(t, "trigger-form.png", `//*[@role="dialog"][.//input[@name="element_dry_run"]]`)
		u.resize(t, windowHeight)
		u.click(t, `//label[.//input[@name="element_dry_run"]]`)
	}
	if connectionIDs != "" {
		u.fill(t, "element_connection_ids", connectionIDs)
	}
	u.wait(t, "the switch", fmt.Sprintf(`document.querySelector("input[name=element_dry_run]").checked == %t`, dry))
	u.click(t, `//*[@role="dialog"]//button[normalize-space(.)="Trigger"]`)
	u.wantWords(t, "after the trigger", "successfully triggered")
	id, after := u.triggered()
	if after != before+1 {
		t.Fatalf("the form started %d runs, want 1", after-before)
	}
	return id
}

func runPage(id string) string { return dagPage + "/runs/" + url.PathEscape(id) }

// green waits until the run's page shows three green tasks.
func (u *ui) green(t *testing.T, id string) {
	t.Helper()
	u.open(t, runPage(id))
	u.wait(t, "three green tasks", fmt.Sprintf(`[%q, %q, %q].every(task =>
		[...document.querySelectorAll("tr")].some(row =>
			row.innerText.includes(task) && /success/i.test(row.innerText)))`, extract, update, test))
	u.look(t, runPage(id))
	u.picture(t, "run.png", "//body")
}

// tasks reads the log, the rendered templates and the XCom of each task.
func (u *ui) tasks(t *testing.T, id, updated, tested string) {
	t.Helper()
	for task, log := range map[string]string{extract: "accepts the token", update: updated, test: tested} {
		page := runPage(id) + "/tasks/" + task
		u.visit(t, page, log, "Command exited with return code 0")
		u.visit(t, page+"/rendered_templates", "bash_command", `"${ECR_REFRESH_BIN:-ecr-refresh}"`,
			"ECR_REFRESH_CONNECTION_IDS")
		u.open(t, page+"/xcom", "return_value")
		u.click(t, `//button[contains(@aria-label, "Expand")]`)
		u.wantWords(t, page+"/xcom", `"step"`)
		u.look(t, page+"/xcom")
	}
}

// lists reads the pages that are about all DAGs.
func (u *ui) lists(t *testing.T) {
	u.visit(t, "/", "Active Dags", "Pool Slots")
	u.visit(t, "/dags", deployedDAG)
	u.visit(t, "/connections", "airflow-api", "docker_default", peers.SandboxHost)
	u.visit(t, "/variables", "ecr_refresh_private_key", "***", "ecr_aws_account", peers.SandboxAccount)
	u.visit(t, "/xcoms", "return_value", update)
	u.visit(t, "/events", "bulk_connections")
}

// nothingShown searches all that Airflow has sent for the secrets of all runs.
func (u *ui) nothingShown(t *testing.T) {
	u.wantNoError(t)
	u.wantNone(t, "importErrors")
	u.wantNone(t, "dagWarnings")
	read, all := 0, u.hidden.update()
	u.each(func(a *answer, body string) {
		read += len(body)
		reportPiece(t, a.method+" "+a.path, body, all)
	})
	t.Logf("%d answers of Airflow with %d bytes were read", len(u.answers), read)
}
