package airflowclient

import "context"

// Variable is a Variable of the metadata database.
type Variable struct {
	Key   string
	Value Secret
}

// Masked reports whether Airflow hides the value, as it does where the key holds a word such as password or
// private_key.
func (v Variable) Masked() bool { return v.Value.Reveal() == masked }

// Variable returns one Variable, or ErrNotFound. One that comes from an environment variable or a secrets backend is
// not there.
func (c *Client) Variable(ctx context.Context, key string) (Variable, error) {
	var row VariableResponse
	err := c.find(ctx, &row, NoVariable, key)(NewGetVariableRequest(c.server, key))
	return Variable{Key: row.Key, Value: hide(value(row.Value))}, err
}

// CreateVariable creates a Variable that does not exist yet.
func (c *Client) CreateVariable(ctx context.Context, v Variable) error {
	return c.call(ctx, new(VariableResponse))(NewPostVariableRequest(c.server, c.body(v)))
}

// UpdateVariable changes the value.
func (c *Client) UpdateVariable(ctx context.Context, v Variable) error {
	return c.find(ctx, new(VariableResponse), NoVariable, v.Key)(NewPatchVariableRequest(c.server, v.Key, c.body(v)))
}

func (c *Client) body(v Variable) VariableBody {
	c.scrubber.add(v.Value)
	return VariableBody{Key: v.Key, Value: v.Value.Reveal()}
}
