package sandbox

import (
	"encoding/json"
	"net/http"
	"slices"
)

// Pool is a pool of slots.
type Pool struct {
	Name        string
	Slots       int
	Description string
}

// Variable is a Variable, in clear.
type Variable struct{ Key, Value, Description string }

// objects are what Airflow stores beside connections.
type objects struct {
	pools     map[string]Pool
	variables map[string]Variable
	dags      map[string]*DAG
	events    []Event // the oldest first
}

func newObjects() objects {
	return objects{pools: map[string]Pool{}, variables: map[string]Variable{}, dags: map[string]*DAG{}}
}

// Pool returns a stored pool.
func (a *Airflow) Pool(name string) (Pool, bool) {
	a.state.Lock()
	defer a.state.Unlock()
	p, found := a.pools[name]
	return p, found
}

// SetPool adds or replaces a pool.
func (a *Airflow) SetPool(p Pool) { a.set(func() { a.pools[p.Name] = p }) }

// DeletePool removes a pool.
func (a *Airflow) DeletePool(name string) { a.set(func() { delete(a.pools, name) }) }

// Variable returns a stored Variable, in clear.
func (a *Airflow) Variable(key string) (Variable, bool) {
	a.state.Lock()
	defer a.state.Unlock()
	v, found := a.variables[key]
	return v, found
}

// SetVariable adds or replaces a Variable.
func (a *Airflow) SetVariable(v Variable) { a.set(func() { a.variables[v.Key] = v }) }

// DeleteVariable removes a Variable.
func (a *Airflow) DeleteVariable(key string) { a.set(func() { delete(a.variables, key) }) }

func (a *Airflow) routeObjects(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v2/pools/{name}", a.getPool)
	mux.HandleFunc("POST /api/v2/pools", a.postPool)
	mux.HandleFunc("GET /api/v2/variables/{name}", a.getVariable)
	mux.HandleFunc("POST /api/v2/variables", a.postVariable)
	mux.HandleFunc("PATCH /api/v2/variables/{name}", a.patchVariable)
	mux.HandleFunc("POST /api/v2/connections", a.postConnection)
	mux.HandleFunc("PATCH /api/v2/connections/{name}", a.patchConnection)
	mux.HandleFunc("DELETE /api/v2/pools/{name}", func(w http.ResponseWriter, r *http.Request) {
		_, found := a.Pool(r.PathValue("name"))
		a.remove(w, r, "Pools", "The Pool with name", found, a.DeletePool)
	})
	mux.HandleFunc("DELETE /api/v2/variables/{name}", func(w http.ResponseWriter, r *http.Request) {
		_, found := a.Variable(r.PathValue("name"))
		a.remove(w, r, "Variables", "The Variable with key", found, a.DeleteVariable)
	})
	mux.HandleFunc("DELETE /api/v2/connections/{name}", func(w http.ResponseWriter, r *http.Request) {
		_, found := a.Connection(r.PathValue("name"))
		a.remove(w, r, "Connections", "The Connection with connection_id", found, a.DeleteConnection)
	})
}

// remove answers a call that deletes an object.
func (a *Airflow) remove(
	w http.ResponseWriter, r *http.Request, resource, what string, found bool, remove func(name string),
) {
	name := r.PathValue("name")
	if !a.authorize(w, r, "can_delete", resource) {
		return
	}
	if resource == "Connections" {
		a.logged(r, "delete_connection", map[string]any{"connection_id": name})
	}
	if !found {
		reject(w, http.StatusNotFound, what+": `"+name+"` was not found")
		return
	}
	remove(name)
	w.WriteHeader(http.StatusNoContent)
}

func nullable(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func (p Pool) fields() map[string]any {
	return map[string]any{"name": p.Name, "slots": p.Slots, "description": nullable(p.Description),
		"include_deferred": false,
		"occupied_slots":   0, "running_slots": 0, "queued_slots": 0, "scheduled_slots": 0, "deferred_slots": 0,
		"open_slots": p.Slots, "team_name": nil}
}

func (a *Airflow) getPool(w http.ResponseWriter, r *http.Request) {
	if !a.authorize(w, r, "can_read", "Pools") {
		return
	}
	p, found := a.Pool(r.PathValue("name"))
	if !found {
		reject(w, http.StatusNotFound, "The Pool with name: `"+r.PathValue("name")+"` was not found")
		return
	}
	writeJSON(w, http.StatusOK, p.fields())
}

func (a *Airflow) postPool(w http.ResponseWriter, r *http.Request) {
	body, ok := a.body(w, r, "can_create", "Pools", []string{"name", "slots"}, "description", "include_deferred",
		"team_name")
	if !ok {
		return
	}
	p := Pool{Name: body["name"].(string)}.updated(body)
	if _, found := a.Pool(p.Name); found {
		alreadyThere(w)
		return
	}
	a.SetPool(p)
	writeJSON(w, http.StatusCreated, p.fields())
}

func (p Pool) updated(body map[string]any) Pool {
	if slots, sent := body["slots"]; sent {
		p.Slots, _ = intOf(slots)
	}
	if text, sent := body["description"]; sent {
		p.Description, _ = text.(string)
	}
	return p
}

// fields returns the Variable as Airflow shows it: a sensitive key hides its value.
func (v Variable) fields() map[string]any {
	shown := v.Value
	if sensitive(v.Key) {
		shown = redactedValue
	}
	return map[string]any{"key": v.Key, "value": shown, "description": nullable(v.Description), "is_encrypted": true,
		"team_name": nil}
}

func (a *Airflow) getVariable(w http.ResponseWriter, r *http.Request) {
	if !a.authorize(w, r, "can_read", "Variables") {
		return
	}
	v, found := a.Variable(r.PathValue("name"))
	if !found {
		reject(w, http.StatusNotFound, "The Variable with key: `"+r.PathValue("name")+"` was not found")
		return
	}
	writeJSON(w, http.StatusOK, v.fields())
}

func (a *Airflow) postVariable(w http.ResponseWriter, r *http.Request) {
	body, ok := a.body(w, r, "can_create", "Variables", []string{"key", "value"}, "description", "team_name")
	if !ok {
		return
	}
	v := Variable{Key: body["key"].(string)}.updated(body)
	if _, found := a.Variable(v.Key); found {
		reject(w, http.StatusConflict, "The Variable with key: `"+v.Key+"` already exists")
		return
	}
	a.SetVariable(v)
	writeJSON(w, http.StatusCreated, v.fields())
}

func (a *Airflow) patchVariable(w http.ResponseWriter, r *http.Request) {
	body, ok := a.body(w, r, "can_edit", "Variables", []string{"key", "value"}, "description", "team_name")
	if !ok {
		return
	}
	v, found := a.Variable(r.PathValue("name"))
	switch {
	case body["key"] != r.PathValue("name"):
		reject(w, http.StatusBadRequest, "Invalid body, key from request body doesn't match uri parameter")
	case !found:
		reject(w, http.StatusNotFound, "The Variable with key: `"+r.PathValue("name")+"` was not found")
	default:
		a.SetVariable(v.updated(body))
		writeJSON(w, http.StatusOK, v.updated(body).fields())
	}
}

// updated stores text as it is, and any other JSON as its text.
func (v Variable) updated(body map[string]any) Variable {
	text, isText := body["value"].(string)
	if !isText {
		raw, _ := json.Marshal(body["value"]) // was just decoded
		text = string(raw)
	}
	v.Value = text
	if text, sent := body["description"]; sent {
		v.Description, _ = text.(string)
	}
	return v
}

func (a *Airflow) postConnection(w http.ResponseWriter, r *http.Request) {
	e, ok := a.entity(w, r, "can_create")
	if !ok {
		return
	}
	if _, found := a.Connection(e.id()); found {
		alreadyThere(w)
		return
	}
	c := Connection{ID: e.id()}.updated(e)
	a.SetConnection(c)
	writeJSON(w, http.StatusCreated, c.redacted())
}

func (a *Airflow) patchConnection(w http.ResponseWriter, r *http.Request) {
	e, ok := a.entity(w, r, "can_edit")
	if !ok {
		return
	}
	c, found := a.Connection(r.PathValue("name"))
	switch {
	case e.id() != r.PathValue("name"):
		reject(w, http.StatusBadRequest, "The connection_id in the request body does not match the URL parameter")
	case !found:
		reject(w, http.StatusNotFound, "The Connection with connection_id: `"+e.id()+"` was not found")
	default:
		a.SetConnection(c.updated(e))
		writeJSON(w, http.StatusOK, c.updated(e).redacted())
	}
}

// entity reads the body that makes or changes one connection.
func (a *Airflow) entity(w http.ResponseWriter, r *http.Request, right string) (entity, bool) {
	body, refused := readBody(w, r)
	if refused || !a.authorize(w, r, right, "Connections") {
		return nil, false
	}
	a.logged(r, map[string]string{"can_create": "post_connection", "can_edit": "patch_connection"}[right], body)
	fields, ok := body.(map[string]any)
	problems := notAnObject(body, "body")
	if ok {
		problems = validateEntity(fields, []any{"body"})
	}
	if len(problems) > 0 {
		reject(w, http.StatusUnprocessableEntity, problems)
	}
	return fields, len(problems) == 0
}

// body reads the body of a call that needs a right. It must have the needed fields, the first of them a text, and may
// have the others.
func (a *Airflow) body(w http.ResponseWriter, r *http.Request, right, resource string, needed []string,
	others ...string) (map[string]any, bool) {
	body, refused := readBody(w, r)
	if refused || !a.authorize(w, r, right, resource) {
		return nil, false
	}
	fields, ok := body.(map[string]any)
	if !ok {
		reject(w, http.StatusUnprocessableEntity, notAnObject(body, "body"))
		return nil, false
	}
	problems := forbidExtra(fields, slices.Concat(needed, others), "body")
	for _, name := range needed {
		if _, sent := fields[name]; !sent {
			problems = append(problems, invalid{"missing", []any{"body", name}, "Field required", fields, nil})
		}
	}
	if len(problems) == 0 && len(needed) > 0 {
		if _, isText := fields[needed[0]].(string); !isText {
			problems = append(problems, invalid{"string_type", []any{"body", needed[0]},
				"Input should be a valid string", fields[needed[0]], nil})
		}
	}
	if len(problems) > 0 {
		reject(w, http.StatusUnprocessableEntity, problems)
	}
	return fields, len(problems) == 0
}

// alreadyThere is what Airflow makes of the database's error.
func alreadyThere(w http.ResponseWriter) {
	reject(w, http.StatusConflict, map[string]string{"reason": "Unique constraint violation", "statement": "hidden",
		"orig_error": "hidden",
		"message":    "This error may be caused by a duplicate"})
}
