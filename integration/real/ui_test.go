package real

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"ecr-refresh/integration/real/peers"
	"ecr-refresh/integration/sandbox/suite"
)

// TestRealUI is an engineer at Airflow's UI: logs in, triggers the DAG with the form, waits for three green tasks, and
// reads every page on which a secret could show. What Airflow sends for these pages is read too, shown or not.
func TestRealUI(t *testing.T) {
	w := startWorld(t)
	w.setKeys(t, "ecr_refresh") // the private key is one more secret on its way
	u := &ui{world: w, dag: w.deploy(t), browser: startBrowser(t, w.Airflow.URL, w.secrets)}
	u.wantSound(t, deployedDAG) // it waits for the DAG to be parsed
	u.logIn(t)
	u.visit(t, dagPage, deployedDAG, "55 5,11,17,23 * * *", extract, update, test)
	u.refreshed(t)
	u.graph(t)
	u.dryRun(t)
	u.lists(t)
	u.red(t)
	u.wantSound(t, deployedDAG)
	u.nothingShown(t)
}

// ui is a browser at the Airflow of a world.
type ui struct {
	*world
	*browser
	dag *dag
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
const graphHeight, formHeight, logHeight = 560, 1100, 560

const dagPage = "/dags/" + deployedDAG

// graph looks at the DAG's other view, and goes back to the first.
func (u *ui) graph(t *testing.T) {
	u.resize(t, graphHeight)
	u.open(t, dagPage, deployedDAG)
	u.click(t, `//button[contains(@aria-label, "Graph")]`)
	u.visit(t, dagPage, "StepOperator") // it opens in the view that was chosen
	u.picture(t, "dag-graph.png", "//body")
	u.click(t, `//button[contains(@aria-label, "Grid")]`)
	u.resize(t, windowHeight)
}

// refreshed is a run with the form as it opens.
func (u *ui) refreshed(t *testing.T) {
	id := u.trigger(t, "", false)
	u.green(t, id)
	u.dag.wantPassword(t, u.newestToken(t))
	u.tasks(t, id, "has the new token", "Login Succeeded")
}

// dryRun is a run with the form filled in: other connections than the usual one, and the switch turned on.
func (u *ui) dryRun(t *testing.T) {
	one := &dag{world: u.world, connection: "docker_one", old: u.setDocker(t, "docker_one", peers.SandboxHost)}
	two := &dag{world: u.world, connection: "docker_two", old: u.setDocker(t, "docker_two", peers.SandboxHost)}
	id := u.trigger(t, "docker_one, docker_two", true)
	u.green(t, id)
	got, token := run{dag: u.dag, id: id}.result(t, update).Connections, suite.Fingerprint(u.newestToken(t))
	if want := []updated{{"docker_one", token, false}, {"docker_two", token, false}}; !reflect.DeepEqual(got, want) {
		t.Errorf("the result of step 2 of a dry run has %+v, want %+v", got, want)
	}
	one.wantPassword(t, one.old)
	two.wantPassword(t, two.old)
	if o := u.shell(t, "").Do(t, u.admin("viewer"), "status", "--json"); o.Code != 0 || strings.Contains(o.Stdout, id) {
		t.Errorf("status counts the dry run %s: %s%s", id, o.Stdout, o.Stderr)
	}
	u.tasks(t, id, "dry run: connection", "answers") // Docker, which rejects the old passwords, and that is no error
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

// green waits until the run's page shows three green tasks. The run may have to wait for one that the scheduler added.
func (u *ui) green(t *testing.T, id string) {
	t.Helper()
	u.open(t, runPage(id))
	must(t, u.Airflow.WaitIdle(t.Context(), deployedDAG, runLimit))
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

// red is a dry run that fails, since the stored password of airflow-api is wrong. doctor --run names the task, its
// error, its hint and the page of its log, and that page shows them.
func (u *ui) red(t *testing.T) {
	login := u.Airflow.Users["op"]
	u.setAPI(t, "airflow-api", peers.Login{User: login.User, Password: rand.Text()}, u.Airflow.URL)
	shown := u.onTerminal(t, u.admin("admin"), "doctor", "--run")
	u.newestToken(t) // is one more secret
	reportPiece(t, "doctor --run", shown, u.secrets.pieces())
	const (
		failed = `update connection "docker_default": log in as "refresher": airflow answered 401: Invalid credentials`
		hint   = "check login and password of connection airflow-api: Admin > Connections"
	)
	u.showTerminal(t, "ecr-refresh doctor --run", shown)
	u.wantWords(t, "doctor --run", "fail task "+update, failed, "→ "+hint, "/tasks/"+update)
	u.picture(t, "doctor-run.png", "//pre")

	page, err := url.Parse(regexp.MustCompile(`http\S+/tasks/\S+`).FindString(shown))
	must(t, err)
	u.visit(t, page.RequestURI(), "ecr-refresh: error: "+failed, "ecr-refresh: hint: "+hint,
		"AirflowFailException: "+failed+"\nhint: "+hint)
	u.resize(t, logHeight)
	do(t, u.browser, "wrap the lines of logs", chromedp.Evaluate[string](`localStorage.log_wrap = "true"`))
	u.open(t, page.RequestURI()+"&log_level=error", "ecr-refresh: hint: ")
	u.click(t, `//summary[contains(., "AirflowFailException")]`) // closes it: the lines of Airflow's code are in it
	u.picture(t, "red-task-log.png", `//*[@id="details-panel"]`)
	u.resize(t, windowHeight)
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

// nothingShown searches all that Airflow has sent for the secrets of all runs, and for errors: before the login it
// rejects every call.
func (u *ui) nothingShown(t *testing.T) {
	read, all := 0, u.secrets.pieces()
	u.each(func(a *answer, body string) {
		read += len(body)
		reportPiece(t, a.method+" "+a.path, body, all)
		if a.status >= 400 && a.status != http.StatusUnauthorized {
			t.Errorf("%s %s: Airflow answers %d: %.300s", a.method, a.path, a.status, body)
		}
	})
	t.Logf("%d answers of Airflow with %d bytes were read", len(u.answers), read)
}
