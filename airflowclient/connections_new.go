package airflowclient

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// NewConnection is a connection to make, or what is to change of one. A field that is empty is not sent: an update leaves
// it alone.
type NewConnection struct {
	ID, Type, Host             string
	Port                       int
	Login, Schema, Description string
	Password                   secret.Secret
	Clear                      []string // fields by Airflow's name (port, schema) that an update empties
}

// CreateConnection makes a connection that is not there yet.
func (c *Client) CreateConnection(ctx context.Context, n NewConnection) error {
	body, err := n.body()
	if err != nil {
		return err
	}
	c.hidden.add(n.Password)
	return c.call(ctx, new(ConnectionResponse), func(edit ...RequestEditorFn) (*http.Response, error) {
		return c.api.PostConnectionWithBody(ctx, jsonType, bytes.NewReader(body), edit...)
	})
}

// PatchConnection changes the fields that n has, and no other. Airflow wants the type in every update.
func (c *Client) PatchConnection(ctx context.Context, n NewConnection) error {
	body, err := n.body()
	if err != nil {
		return err
	}
	c.hidden.add(n.Password)
	return c.find(ctx, missing("connection"), n.ID, new(ConnectionResponse), func(edit ...RequestEditorFn) (*http.Response, error) {
		return c.api.PatchConnectionWithBody(ctx, n.ID, jsonType, bytes.NewReader(body), edit...)
	})
}

const jsonType = "application/json"

// body gives the fields that n has. The generated ConnectionBody cannot hold a null, which is what empties a field.
func (n NewConnection) body() ([]byte, error) {
	if err := checkID(n.ID); err != nil {
		return nil, err
	}
	password := n.Password.Reveal()
	if n.Type == "" || password == masked {
		return nil, failure.Permanent("", "connection %q needs a type, and a password other than %s", n.ID, masked)
	}
	body := map[string]any{"connection_id": n.ID, "conn_type": n.Type}
	for field, text := range map[string]string{
		"host": n.Host, "login": n.Login, "schema": n.Schema, "description": n.Description, "password": password,
	} {
		if text != "" {
			body[field] = text
		}
	}
	if n.Port != 0 {
		body["port"] = n.Port
	}
	for _, field := range n.Clear {
		body[field] = nil
	}
	return json.Marshal(body)
}
