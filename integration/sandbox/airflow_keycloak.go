package sandbox

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"strings"
)

// ofKeycloak is what Keycloak's auth manager puts into a token, in the place of its subject.
type ofKeycloak struct {
	UserID       string `json:"user_id,omitempty"`
	Name         string `json:"name,omitempty"`
	AccessToken  string `json:"access_token,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
}

func keycloakClaims(name string) ofKeycloak {
	random := func(length int) (text string) {
		for len(text) < length {
			text += rand.Text()
		}
		return text
	}
	return ofKeycloak{rand.Text(), name, random(1300), random(700)} // the whole has about 3 kB
}

// keycloakLogin answers as provider keycloak 0.11.2 with Keycloak 26.7, if the login is that of one of its users, and
// reports whether it is.
func (a *Airflow) keycloakLogin(w http.ResponseWriter, form map[string]any) bool {
	text := func(field string) string { s, _ := form[field].(string); return s }
	name := cmp.Or(text("username"), text("client_id"))
	user, _ := a.User(name)
	switch grant := cmp.Or(text("grant_type"), "password"); {
	case user.Keycloak == "":
		return false
	case grant != "password" && grant != "client_credentials":
		reject(w, http.StatusUnprocessableEntity, []invalid{{"union_tag_invalid", []any{"body"}, "Input tag '" + grant +
			"' found using 'grant_type' does not match any of the expected tags", form, nil}})
	case grant == "password" && (user.Keycloak != "user" || user.Password != text("password")):
		http.Error(w, "Internal Server Error", http.StatusInternalServerError)
	case grant == "client_credentials" && (user.Keycloak != "client" || user.Password != text("client_secret")):
		reject(w, http.StatusForbidden, "Client credentials authentication failed")
	default:
		writeJSON(w, http.StatusCreated, map[string]string{"access_token": a.issue(name, "")})
	}
	return true
}

// keycloakPermission returns the scope and the resource in Keycloak for a right of FAB's.
func keycloakPermission(right, resource string) (scope, of string) {
	scopes := map[string]string{"can_read": "GET", "can_create": "POST", "can_edit": "PUT", "can_delete": "DELETE"}
	of = strings.TrimSuffix(resource, "s")
	if of != "Connection" && of != "Pool" && of != "Variable" {
		of = "Dag"
	}
	return scopes[right], of
}
