package airflowclient

import (
	"context"
	"net/http"

	"ecr-refresh/steps/secret"
)

// Variable is a Variable of the metadata database.
type Variable struct {
	Key         string
	Value       secret.Secret // may hold a secret
	Description string
}

// Masked tells that Airflow hides the value, as it does where the key holds a word such as password or private_key.
func (v Variable) Masked() bool { return v.Value.Equal(secret.New(masked)) }

// Variable reads one Variable, or gives ErrNotFound. One that comes from an environment variable or a secrets backend is
// not there.
func (c *Client) Variable(ctx context.Context, key string) (Variable, error) {
	if err := checkName(key); err != nil {
		return Variable{}, err
	}
	var row VariableResponse
	err := c.find(ctx, missing("Variable"), key, &row, func(edit ...RequestEditorFn) (*http.Response, error) {
		return c.api.GetVariable(ctx, key, edit...)
	})
	return Variable{Key: row.Key, Value: secret.New(value(row.Value)), Description: value(row.Description)}, err
}

// CreateVariable makes a Variable that is not there yet.
func (c *Client) CreateVariable(ctx context.Context, v Variable) error {
	c.hidden.add(v.Value)
	return c.call(ctx, new(VariableResponse), func(edit ...RequestEditorFn) (*http.Response, error) {
		return c.api.PostVariable(ctx, v.body(), edit...)
	})
}

// UpdateVariable changes the value, and the description where one is given.
func (c *Client) UpdateVariable(ctx context.Context, v Variable) error {
	if err := checkName(v.Key); err != nil {
		return err
	}
	c.hidden.add(v.Value)
	return c.find(ctx, missing("Variable"), v.Key, new(VariableResponse), func(edit ...RequestEditorFn) (*http.Response, error) {
		return c.api.PatchVariable(ctx, v.Key, v.body(), edit...)
	})
}

func (v Variable) body() VariableBody {
	return VariableBody{Key: v.Key, Value: v.Value.Reveal(), Description: unlessEmpty(v.Description)}
}
