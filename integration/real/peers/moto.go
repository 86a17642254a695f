package peers

import (
	"context"
	"fmt"
	"path/filepath"
)

// Moto answers AWS's ECR API with short tokens ("<account>-auth-token") for one account, in every region.
type Moto struct {
	URL      string // for AWS_ENDPOINT_URL
	Account  string
	Password string // the one it issues, for every registry of the account
	proc     *process
}

func startMoto(ctx context.Context, dir, venv, account string) (*Moto, error) {
	port, err := freePort("127.0.0.1")
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	m := &Moto{URL: "http://" + address, Account: account, Password: account + "-auth-token"}
	m.proc, err = start("moto", dir, cleanEnv("MOTO_ACCOUNT_ID="+account),
		filepath.Join(venv, "bin", "moto_server"), "-H", "127.0.0.1", "-p", fmt.Sprint(port))
	if err != nil {
		return nil, err
	}
	if err := m.proc.ready(ctx, listening("tcp", address)); err != nil {
		m.proc.stop()
		return nil, err
	}
	return m, nil
}

// Environ makes AWS's own variables lead to moto.
func (m *Moto) Environ() map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL":          m.URL,
		"AWS_ACCESS_KEY_ID":         "AKIAIOSFODNN7EXAMPLE",
		"AWS_SECRET_ACCESS_KEY":     "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
		"AWS_EC2_METADATA_DISABLED": "true",
	}
}
