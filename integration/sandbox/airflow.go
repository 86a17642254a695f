package sandbox

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Connection is a connection as Airflow stores it, in clear. An empty field is a null.
type Connection struct {
	ID          string
	Type        string
	Description string
	Host        string
	Login       string
	Password    string
	Schema      string
	Port        int
	Extra       string // a JSON object
}

// User is somebody who may log in to the API. Role is viewer, user, op or admin; connections need op. A user with
// Permissions ("can_read on Connections") is one of the FAB auth manager: they decide, and Role does not count.
// Keycloak is "user" or "client" for one of Keycloak's auth manager, whose Permissions are such as "GET on Connection".
type User struct {
	Password    string
	Role        string
	Permissions []string
	Keycloak    string
}

// Airflow stands in for the REST API of Airflow 3.3 with its SimpleAuthManager, as far as ecr-refresh calls it, and for
// the one call of the execution API that hands a connection to a task.
type Airflow struct {
	Faults
	address   string
	now       func() time.Time
	mux       *http.ServeMux
	taskToken string

	state       sync.Mutex
	basePath    string
	worker      string // the user that Environ logs in as
	users       map[string]User
	connections map[string]Connection
	objects
	key     []byte          // signs tokens
	revoked map[string]bool // by jti
	issued  []string        // tokens
}

func newAirflow(now func() time.Time) *Airflow {
	a := &Airflow{
		now: now, taskToken: rand.Text(), worker: "refresher", key: []byte(rand.Text()),
		users:       map[string]User{},
		connections: map[string]Connection{}, objects: newObjects(), revoked: map[string]bool{},
	}
	for name, role := range map[string]string{"refresher": "op", "viewer": "viewer", "admin": "admin"} {
		a.users[name] = User{Password: "pass-" + rand.Text(), Role: role}
	}
	a.mux = a.routes()
	return a
}

// URL returns the API's base URL.
func (a *Airflow) URL() string {
	return locked(&a.state, func() string { return "http://" + a.address + a.basePath })
}

// SetBasePath moves the API below a path such as "/airflow". Every other path is then answered by the 404 of a reverse
// proxy.
func (a *Airflow) SetBasePath(path string) {
	a.set(func() { a.basePath = strings.TrimSuffix(path, "/") })
}

// User returns a user.
func (a *Airflow) User(name string) (User, bool) {
	a.state.Lock()
	defer a.state.Unlock()
	user, found := a.users[name]
	return user, found
}

// SetUser adds or replaces a user. Tokens keep the role that they were issued with.
func (a *Airflow) SetUser(name string, user User) { a.set(func() { a.users[name] = user }) }

// SetWorker sets the user that Environ logs in as: refresher at first, who is op.
func (a *Airflow) SetWorker(name string) { a.set(func() { a.worker = name }) }

// Connection returns a stored connection, in clear.
func (a *Airflow) Connection(id string) (Connection, bool) {
	a.state.Lock()
	defer a.state.Unlock()
	c, found := a.connections[id]
	return c, found
}

// SetConnection adds or replaces a connection.
func (a *Airflow) SetConnection(c Connection) { a.set(func() { a.connections[c.ID] = c }) }

// DeleteConnection removes a connection.
func (a *Airflow) DeleteConnection(id string) { a.set(func() { delete(a.connections, id) }) }

// Logins returns how many tokens were issued.
func (a *Airflow) Logins() int { return len(a.JWTs()) }

// JWTs returns the tokens that were issued so far.
func (a *Airflow) JWTs() []string {
	return locked(&a.state, func() []string { return slices.Clone(a.issued) })
}

// Revoked returns how many tokens were revoked by a logout.
func (a *Airflow) Revoked() int { return locked(&a.state, func() int { return len(a.revoked) }) }

// FailNext answers the next n requests with status and, unless it is empty, a Retry-After header.
func (a *Airflow) FailNext(n, status int, retryAfter string) {
	fault := Fault{Times: n, Status: status, Body: http.StatusText(status), Header: http.Header{}}
	if retryAfter != "" {
		fault.Header.Set("Retry-After", retryAfter)
	}
	a.Inject(fault)
}

func (a *Airflow) set(set func()) { change(&a.state, set) }

// environ returns the connection airflow-api, field by field as the DAG renders it.
func (a *Airflow) environ() []string {
	a.state.Lock()
	defer a.state.Unlock()
	host, port, _ := net.SplitHostPort(a.address)
	if a.basePath != "" { // a base path has no other place than the host
		host, port = "http://"+a.address+a.basePath, ""
	}
	const prefix = "ECR_REFRESH_AIRFLOW_"
	return []string{
		prefix + "CONN_TYPE=http", prefix + "SCHEMA=http", prefix + "HOST=" + host, prefix + "PORT=" + port,
		prefix + "LOGIN=" + a.worker, prefix + "PASSWORD=" + a.users[a.worker].Password,
	}
}

// ServeHTTP answers one request.
func (a *Airflow) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.answer(w, r, a.route) }

func (a *Airflow) route(w http.ResponseWriter, r *http.Request) {
	base, err := url.Parse(a.URL())
	path, below := strings.CutPrefix(r.URL.EscapedPath(), base.Path)
	switch {
	case err != nil || !below || !strings.HasPrefix(path, "/"):
		http.Error(w, "404 page not found", http.StatusNotFound)
	case r.Method == http.MethodHead: // no route of Airflow's takes it
		methodNotAllowed(w, r)
	case strings.Contains(path, "//"): // the mux would redirect
		singlePage(w, r)
	default:
		http.StripPrefix(base.Path, a.mux).ServeHTTP(w, r)
	}
}

func (a *Airflow) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /auth/token", a.createToken)
	mux.HandleFunc("GET /api/v2/auth/logout", a.logout)
	mux.HandleFunc("GET /api/v2/version", version)
	mux.HandleFunc("GET /api/v2/connections", a.listConnections)
	mux.HandleFunc("GET /api/v2/connections/{id}", a.getConnection)
	mux.HandleFunc("PATCH /api/v2/connections", a.patchConnections)
	mux.HandleFunc("GET /execution/connections/{id}", a.taskConnection)
	a.routeObjects(mux)
	a.routeDAGs(mux)
	mux.HandleFunc("GET /api/{rest...}", noAPIRoute)
	mux.HandleFunc("GET /{rest...}", singlePage)
	mux.HandleFunc("/", methodNotAllowed)
	return mux
}

func version(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"version": "3.3.2", "git_version": nil})
}

func noAPIRoute(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusNotFound, map[string]string{"error": "API route not found"})
}

// singlePage is what Airflow answers on every path that it does not know: its user interface, with status 200.
func singlePage(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		methodNotAllowed(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, "<!doctype html>\n<html lang=\"en\"><head><title>Airflow</title></head><body><div "+
		"id=\"root\"></div></body></html>\n")
}

func methodNotAllowed(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Allow", "GET")
	reject(w, http.StatusMethodNotAllowed, "Method Not Allowed")
}

// reject answers with a detail, which is a string, a list or an object.
func reject(w http.ResponseWriter, status int, detail any) {
	writeJSON(w, status, map[string]any{"detail": detail})
}

func (a *Airflow) createToken(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		return
	}
	if media := mediaType(r); media != "application/json" {
		reject(w, http.StatusUnprocessableEntity, notAnObject(string(body), "body"))
		return
	}
	var form map[string]any
	if err := json.Unmarshal(body, &form); err != nil {
		http.Error(w, "Internal Server Error", http.StatusInternalServerError) // Airflow does not catch it either
		return
	}
	if a.keycloakLogin(w, form) {
		return
	}
	if invalid := checkLogin(form); invalid != "" {
		reject(w, http.StatusUnprocessableEntity, invalid)
		return
	}
	a.login(w, form["username"].(string), form["password"].(string))
}

// checkLogin returns what Airflow says of a body that is not a login: a text, which repeats the input.
func checkLogin(form map[string]any) string {
	for _, field := range []string{"username", "password"} {
		value, found := form[field]
		if !found {
			return fmt.Sprintf("1 validation error for LoginBody\n%s\n  Field required [type=missing, input_value=%v, "+
				"input_type=dict]", field, form)
		}
		if _, ok := value.(string); !ok {
			return fmt.Sprintf("1 validation error for LoginBody\n%s\n  Input should be a valid string "+
				"[type=string_type, input_value=%v]", field, value)
		}
	}
	for field, value := range form {
		if field != "username" && field != "password" {
			return fmt.Sprintf("1 validation error for LoginBody\n%s\n  Extra inputs are not permitted "+
				"[type=extra_forbidden, input_value=%v]", field, value)
		}
	}
	return ""
}

func (a *Airflow) login(w http.ResponseWriter, username, password string) {
	user, found := a.User(username)
	switch {
	case username == "" || password == "":
		reject(w, http.StatusBadRequest, "Username and password must be provided")
	case !found || user.Password != password:
		reject(w, http.StatusUnauthorized, "Invalid credentials")
	case user.Permissions != nil: // FAB's tokens say nothing of roles
		writeJSON(w, http.StatusCreated, map[string]string{"access_token": a.issue(username, "")})
	default:
		writeJSON(w, http.StatusCreated, map[string]string{"access_token": a.issue(username, user.Role)})
	}
}

// claims are those of Airflow's tokens.
type claims struct {
	Subject   string `json:"sub,omitempty"`
	Role      string `json:"role,omitempty"`
	Teams     any    `json:"teams,omitempty"` // of the SimpleAuthManager, as Role
	ID        string `json:"jti"`
	Audience  string `json:"aud"`
	NotBefore int64  `json:"nbf"`
	Expires   int64  `json:"exp"`
	Issued    int64  `json:"iat"`

	ofKeycloak

	permissions []string // of a user without a role
}

func (a *Airflow) issue(username, role string) string {
	a.state.Lock()
	defer a.state.Unlock()
	now := a.now()
	var teams any
	if role != "" {
		teams = []string{}
	}
	of := claims{
		Subject: username, Role: role, Teams: teams, ID: rand.Text(), Audience: "apache-airflow",
		NotBefore: now.Unix(), Expires: now.Add(24 * time.Hour).Unix(), Issued: now.Unix(),
	}
	if a.users[username].Keycloak != "" {
		of.Subject, of.ofKeycloak = "", keycloakClaims(username)
	}
	payload, _ := json.Marshal(of) // cannot fail: strings and numbers
	signed := encodeSegment([]byte(`{"alg":"HS512","kid":"not-used","typ":"JWT"}`)) + "." + encodeSegment(payload)
	token := signed + "." + encodeSegment(a.mac(signed))
	a.issued = append(a.issued, token)
	return token
}

func (a *Airflow) mac(signed string) []byte {
	mac := hmac.New(sha512.New, a.key)
	mac.Write([]byte(signed))
	return mac.Sum(nil)
}

func encodeSegment(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// authenticate returns the claims of the request's token, or rejects it in Airflow's words.
func (a *Airflow) authenticate(w http.ResponseWriter, r *http.Request) (claims, bool) {
	token, found := bearer(r)
	if !found {
		reject(w, http.StatusUnauthorized, "Not authenticated")
		return claims{}, false
	}
	got, valid := a.open(token)
	switch {
	case !valid:
		reject(w, http.StatusForbidden, "Invalid JWT token")
	case a.now().Unix() > got.Expires+10: // Airflow's leeway
		reject(w, http.StatusUnauthorized, "Token Expired")
		valid = false
	}
	return got, valid
}

func bearer(r *http.Request) (string, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

func (a *Airflow) open(token string) (got claims, valid bool) {
	a.state.Lock()
	defer a.state.Unlock()
	parts := strings.Split(token, ".")
	if len(parts) != 3 || !hmac.Equal([]byte(parts[2]), []byte(encodeSegment(a.mac(parts[0]+"."+parts[1])))) {
		return claims{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &got) != nil {
		return claims{}, false
	}
	got.permissions = a.users[got.Subject+got.Name].Permissions
	return got, !a.revoked[got.ID]
}

// authorize authenticates, and rejects those who lack a right on a resource, both as FAB names them.
func (a *Airflow) authorize(w http.ResponseWriter, r *http.Request, right, resource string) bool {
	got, ok := a.authenticate(w, r)
	if ok && !got.may(right, resource) {
		reject(w, http.StatusForbidden, "Forbidden")
		return false
	}
	return ok
}

// may asks the role, which is an order, or the permissions. Everybody may read all but Connections and Variables.
func (c claims) may(right, resource string) bool {
	if c.Name != "" {
		right, resource = keycloakPermission(right, resource)
	}
	if c.Role == "" {
		return slices.Contains(c.permissions, right+" on "+resource)
	}
	if right == "can_read" && resource != "Connections" && resource != "Variables" {
		return true
	}
	return c.Role == "op" || c.Role == "admin"
}

func (a *Airflow) logout(w http.ResponseWriter, r *http.Request) {
	if token, found := bearer(r); found {
		if got, valid := a.open(token); valid {
			a.set(func() { a.revoked[got.ID] = true })
		}
	}
	w.Header().Set("Location", "/auth/login")
	w.WriteHeader(http.StatusTemporaryRedirect)
}

func (a *Airflow) getConnection(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if strings.Contains(id, "/") { // Airflow decodes %2F before it routes
		noAPIRoute(w, r)
		return
	}
	if !a.authorize(w, r, "can_read", "Connections") {
		return
	}
	c, found := a.Connection(id)
	if !found {
		reject(w, http.StatusNotFound, "The Connection with connection_id: `"+id+"` was not found")
		return
	}
	writeJSON(w, http.StatusOK, c.redacted())
}

func (a *Airflow) listConnections(w http.ResponseWriter, r *http.Request) {
	if !a.authorize(w, r, "can_read", "Connections") {
		return
	}
	list := []map[string]any{}
	for _, c := range a.sorted() {
		list = append(list, c.redacted())
	}
	writePage(w, r, "connections", list)
}

// writePage answers with the part of a list that limit and offset ask for, and its length.
func writePage(w http.ResponseWriter, r *http.Request, name string, all []map[string]any) {
	limit, ok := queryInt(w, r, "limit", 50)
	if !ok {
		return
	}
	offset, ok := queryInt(w, r, "offset", 0)
	if !ok {
		return
	}
	page := all[min(offset, len(all)):]
	writeJSON(w, http.StatusOK, map[string]any{name: page[:min(limit, 100, len(page))], "total_entries": len(all)})
}

func (a *Airflow) sorted() []Connection {
	return locked(&a.state, func() []Connection {
		byID := func(x, y Connection) int { return strings.Compare(x.ID, y.ID) }
		return slices.SortedFunc(maps.Values(a.connections), byID)
	})
}

func queryInt(w http.ResponseWriter, r *http.Request, name string, missing int) (int, bool) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return missing, true
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		reject(w, http.StatusUnprocessableEntity,
			[]invalid{{"int_parsing", []any{"query", name},
				"Input should be a valid integer, unable to parse string as an integer", text, nil}})
	case n < 0:
		reject(w, http.StatusUnprocessableEntity,
			[]invalid{{"greater_than_equal", []any{"query", name}, "Input should be greater than or equal to 0", text,
				map[string]any{"ge": 0}}})
	}
	return n, err == nil && n >= 0
}

// taskConnection hands a connection to a task's supervisor, in clear.
func (a *Airflow) taskConnection(w http.ResponseWriter, r *http.Request) {
	token, found := bearer(r)
	switch {
	case !found:
		reject(w, http.StatusUnauthorized, "Missing auth token")
		return
	case token != a.taskToken:
		reject(w, http.StatusForbidden, "Invalid auth token")
		return
	}
	c, found := a.Connection(r.PathValue("id"))
	if !found {
		reject(w, http.StatusNotFound, map[string]string{"reason": "not_found",
			"message": "Connection with ID " + r.PathValue("id") + " not found"})
		return
	}
	fields := c.fields()
	fields["conn_id"] = c.ID
	for _, name := range []string{"connection_id", "description", "team_name"} {
		delete(fields, name)
	}
	writeJSON(w, http.StatusOK, fields)
}

// patchConnections does what Airflow does in Airflow's order: parse, authenticate, validate, authorize, update.
func (a *Airflow) patchConnections(w http.ResponseWriter, r *http.Request) {
	body, refused := readBody(w, r)
	if refused {
		return
	}
	got, ok := a.authenticate(w, r)
	if !ok {
		return
	}
	actions, problems, known := validateBulk(body)
	switch {
	case !known:
		http.Error(w, "Internal Server Error", http.StatusInternalServerError) // Airflow does not catch it either
	case len(problems) > 0: // the body is parsed by two dependencies, and each reports
		reject(w, http.StatusUnprocessableEntity, append(problems, problems...))
	case len(slices.Concat(actions...)) > 0 && !got.may("can_edit", "Connections"):
		reject(w, http.StatusForbidden, "Forbidden")
	default:
		a.logged(r, "bulk_connections", body)
		writeJSON(w, http.StatusOK, a.update(body, actions))
	}
}

// readBody returns the decoded JSON, or the text of a body that is not declared as JSON.
func readBody(w http.ResponseWriter, r *http.Request) (body any, refused bool) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 16<<20))
	if err != nil {
		return nil, true
	}
	if mediaType(r) != "application/json" {
		return string(raw), false
	}
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.UseNumber()
	if err := decoder.Decode(&body); err != nil {
		reject(w, http.StatusUnprocessableEntity,
			[]invalid{{"json_invalid", []any{"body", decoder.InputOffset()}, "JSON decode error", map[string]any{},
				map[string]any{"error": err.Error()}}})
		return nil, true
	}
	return body, false
}

func mediaType(r *http.Request) string {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return media
}

// update runs the actions one by one. Each is all or nothing, unless it skips what is missing; they share one result.
func (a *Airflow) update(body any, actions [][]entity) map[string]any {
	a.state.Lock()
	defer a.state.Unlock()
	answer := map[string]any{"create": nil, "update": nil, "delete": nil}
	success, failures := []string{}, []map[string]any{}
	for i, entities := range actions {
		missing := a.missing(entities)
		if len(missing) > 0 && !skips(body, i) {
			failures = append(failures, map[string]any{"status_code": http.StatusNotFound,
				"error": "The connections with these connection_ids: {'" + strings.Join(missing, "', '") +
					"'} were not found."})
			continue
		}
		for _, e := range entities {
			if c, found := a.connections[e.id()]; found {
				a.connections[e.id()] = c.updated(e)
				success = append(success, e.id())
			}
		}
	}
	if len(actions) > 0 {
		answer["update"] = map[string]any{"success": success, "errors": failures}
	}
	return answer
}

func (a *Airflow) missing(entities []entity) (ids []string) {
	for _, e := range entities {
		if _, found := a.connections[e.id()]; !found && !slices.Contains(ids, e.id()) {
			ids = append(ids, e.id())
		}
	}
	return ids
}
