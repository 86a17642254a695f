package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DAG is a DAG with its runs, the oldest first.
type DAG struct {
	ID                             string
	Paused, HasImportErrors, Stale bool
	File                           string
	LastParsed                     time.Time
	Runs                           []DAGRun
	Source                         string
	Next                           DAGRun // what a run that is triggered becomes; without a state, it stays queued
}

// DAGRun is one run. XComs are what its tasks returned, by task, or by task and map index
// ("update_docker_connection[2]").
type DAGRun struct {
	ID, State  string
	Start, End time.Time
	Conf       map[string]any    // its params, where they differ from the DAG's
	Tasks      map[string]string // states, by the same names
	Logs       map[string]any    // of tasks: what the API has as content
	XComs      map[string]any
	Returned   time.Time // when its tasks returned these; zero: at its end
}

// SetDAG adds or replaces a DAG.
func (a *Airflow) SetDAG(d DAG) { a.set(func() { a.dags[d.ID] = &d }) }

// DAG returns a DAG.
func (a *Airflow) DAG(id string) (DAG, bool) {
	var found bool
	d := locked(&a.state, func() (d DAG) {
		if at := a.dags[id]; at != nil {
			d, found = *at, true
		}
		return d
	})
	return d, found
}

func (a *Airflow) routeDAGs(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v2/dags/{dag}/details", a.getDAG)
	mux.HandleFunc("GET /api/v2/dags/{dag}/dagRuns", a.getDAGRuns)
	mux.HandleFunc("POST /api/v2/dags/{dag}/dagRuns", a.postDAGRun)
	mux.HandleFunc("GET /api/v2/dags/{dag}/dagRuns/{run}/taskInstances", a.getTaskInstances)
	mux.HandleFunc("GET /api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/logs/{try}", a.getLog)
	mux.HandleFunc("GET /api/v2/dagSources/{dag}", a.getSource)
	mux.HandleFunc("GET /api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/{key}", a.getXCom)
	mux.HandleFunc("GET /api/v2/importErrors", a.getImportErrors)
	mux.HandleFunc("GET /api/v2/eventLogs", a.getEventLogs)
}

// dag authorizes a call about the DAG in its path, and returns a copy.
func (a *Airflow) dag(w http.ResponseWriter, r *http.Request, resource string) (DAG, bool) {
	if !a.authorize(w, r, "can_read", resource) {
		return DAG{}, false
	}
	id := r.PathValue("dag")
	d, found := a.DAG(id)
	if !found {
		reject(w, http.StatusNotFound, "Dag with id: "+id+" was not found")
	}
	return d, found
}

func (a *Airflow) getDAG(w http.ResponseWriter, r *http.Request) {
	d, ok := a.dag(w, r, "DAGs")
	if !ok {
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"dag_id": d.ID, "is_paused": d.Paused, "is_stale": d.Stale,
		"has_import_errors": d.HasImportErrors, "fileloc": d.File, "last_parsed_time": moment(d.LastParsed)})
}

// moment returns a time as Airflow writes it.
func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000Z")
}

func (a *Airflow) getDAGRuns(w http.ResponseWriter, r *http.Request) {
	d, ok := a.dag(w, r, "DAG Runs")
	if !ok {
		return
	}
	runs := slices.Clone(d.Runs)
	switch order := r.URL.Query().Get("order_by"); order {
	case "", "id":
	case "-id":
		slices.Reverse(runs)
	default:
		reject(w, http.StatusBadRequest,
			"Ordering with '"+order+"' is disallowed or the attribute does not exist on the model")
		return
	}
	list := []map[string]any{}
	for _, run := range runs {
		list = append(list, run.fields(d.ID))
	}
	writePage(w, r, "dag_runs", list)
	a.set(func() { a.dags[d.ID].advance(a.now()) })
}

func (run DAGRun) fields(dag string) map[string]any {
	return map[string]any{"dag_run_id": run.ID, "dag_id": dag, "state": run.State,
		"start_date": moment(run.Start), "end_date": moment(run.End), "conf": run.Conf}
}

// postDAGRun triggers a run, which needs two of FAB's rights.
func (a *Airflow) postDAGRun(w http.ResponseWriter, r *http.Request) {
	body, ok := a.body(w, r, "can_create", "DAG Runs", nil, "logical_date", "conf", "dag_run_id", "note")
	if !ok || !a.authorize(w, r, "can_edit", "DAGs") {
		return
	}
	id := r.PathValue("dag")
	conf, _ := body["conf"].(map[string]any)
	at := a.now().UTC().Format("2006-01-02T15:04:05.000000+00:00")
	run := DAGRun{ID: "manual__" + at, State: "queued", Conf: conf}
	switch d, found := a.DAG(id); {
	case !has(body, "logical_date"):
		reject(w, http.StatusUnprocessableEntity,
			[]invalid{{"missing", []any{"body", "logical_date"}, "Field required", body, nil}})
	case !found || d.Stale:
		reject(w, http.StatusNotFound, "Dag with dag_id: '"+id+"' not found")
	case d.HasImportErrors:
		reject(w, http.StatusBadRequest, "Dag with dag_id: '"+id+"' has import errors and cannot be triggered")
	default:
		a.set(func() { a.dags[id].Runs = append(a.dags[id].Runs, run) })
		writeJSON(w, http.StatusOK, run.fields(id))
	}
}

func has(body map[string]any, field string) bool {
	_, sent := body[field]
	return sent
}

// advance begins the first run that is queued, unless one is running, and ends one that it has begun as Next says.
func (d *DAG) advance(now time.Time) {
	d.Runs = slices.Clone(d.Runs) // others read the one before
	for i := range d.Runs {
		run := &d.Runs[i]
		switch {
		case run.State == "running" && run.Conf != nil && d.Next.State != "":
			id, start, conf := run.ID, run.Start, run.Conf
			*run = d.Next
			run.ID, run.Start, run.End, run.Conf = id, start, now, conf
			return
		case run.State == "running":
			return
		case run.State == "queued" && !d.Paused && d.Next.State != "":
			run.State, run.Start = "running", now
			return
		}
	}
}

func (a *Airflow) getSource(w http.ResponseWriter, r *http.Request) {
	if d, ok := a.dag(w, r, "DAG Code"); ok {
		writeJSON(w, http.StatusOK, map[string]any{"dag_id": d.ID, "content": d.Source, "version_number": 1,
			"dag_display_name": d.ID})
	}
}

func (a *Airflow) getLog(w http.ResponseWriter, r *http.Request) {
	d, ok := a.dag(w, r, "Task Logs")
	if !ok {
		return
	}
	run, _ := d.find(r)
	if log, found := run.Logs[r.PathValue("task")]; found {
		writeJSON(w, http.StatusOK, map[string]any{"content": log, "continuation_token": nil})
		return
	}
	reject(w, http.StatusNotFound, "TaskInstance not found")
}

// find returns the run in the path of a call.
func (d DAG) find(r *http.Request) (DAGRun, bool) {
	i := slices.IndexFunc(d.Runs, func(run DAGRun) bool { return run.ID == r.PathValue("run") })
	if i < 0 {
		return DAGRun{}, false
	}
	return d.Runs[i], true
}

func (a *Airflow) getTaskInstances(w http.ResponseWriter, r *http.Request) {
	d, ok := a.dag(w, r, "Task Instances")
	if !ok {
		return
	}
	run, found := d.find(r)
	if !found {
		reject(w, http.StatusNotFound, fmt.Sprintf("DagRun with run_id: `%s` was not found", r.PathValue("run")))
		return
	}
	list := []map[string]any{}
	for name, state := range run.Tasks {
		task, index := name, -1
		if at := slices.Index([]byte(name), '['); at >= 0 {
			task = name[:at]
			_, _ = fmt.Sscanf(name[at:], "[%d]", &index)
		}
		state, ended := strings.CutSuffix(state, " before it began") // by dagrun_timeout; Airflow 3.4 sets both times
		fields := map[string]any{"task_id": task, "map_index": index, "state": nullable(state), "dag_run_id": run.ID,
			"pool": "systemqueue", "queue": "systemqueue", "try_number": 1, "start_date": nil, "end_date": nil}
		if !slices.Contains([]string{"", "scheduled", "queued", "skipped"}, state) {
			fields["start_date"], fields["end_date"] = moment(run.Start), moment(run.End)
		}
		if ended {
			fields["start_date"], fields["end_date"] = moment(run.End), moment(run.End)
		}
		list = append(list, fields)
	}
	writePage(w, r, "task_instances", list)
}

func (a *Airflow) getXCom(w http.ResponseWriter, r *http.Request) {
	d, ok := a.dag(w, r, "XComs")
	if !ok {
		return
	}
	name, key := r.PathValue("task"), r.PathValue("key")
	if index := r.URL.Query().Get("map_index"); index != "" && index != "-1" {
		if _, err := strconv.Atoi(index); err != nil {
			_, _ = queryInt(w, r, "map_index", -1) // rejects
			return
		}
		name += "[" + index + "]"
	}
	run, _ := d.find(r)
	returned := run.Returned
	if returned.IsZero() {
		returned = run.End
	}
	value, found := run.XComs[name]
	if !found || key != "return_value" {
		reject(w, http.StatusNotFound, "XCom entry with key: `"+key+"` not found")
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"key": key, "dag_id": d.ID, "run_id": run.ID,
		"task_id": r.PathValue("task"), "timestamp": moment(returned), "value": value})
}

// getImportErrors: all files can be read.
func (a *Airflow) getImportErrors(w http.ResponseWriter, r *http.Request) {
	if a.authorize(w, r, "can_read", "ImportError") {
		writePage(w, r, "import_errors", []map[string]any{})
	}
}
