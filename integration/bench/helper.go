package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
)

// helperRatio compares step 1 with docker-credential-ecr-login, which gets the same token from the same ECR.
type helperRatio struct {
	helper, ours []usage
}

// againstHelper runs the helper and step 1, which also checks the token at the registry, in turn. Both trust the
// system's certificates.
func (b bench) againstHelper() (r helperRatio, err error) {
	home := filepath.Join(b.dir, "helper")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return r, err
	}
	host := filepath.Join(home, "host")
	if err := os.WriteFile(host, []byte(b.peers.RegistryHost()), 0o600); err != nil {
		return r, err
	}
	out := filepath.Join(b.dir, "helper.json")
	shell, err := exec.LookPath("sh")
	if err != nil {
		return r, err
	}
	env := append(b.trusting(), "HOME="+home, "AWS_ECR_DISABLE_CACHE=true")
	for i := range b.pairs + 1 {
		theirs, err1 := b.measure(env, shell, "-c", `exec "$1" get <"$2" >"$3"`, "sh", b.helper, host, out)
		ours, err2 := b.measure(b.peers.Environ(), shell, "-c", `exec "$1" extract-ecr-token >"$2"`, "sh",
			b.refresh, out)
		if err := errors.Join(err1, err2); err != nil {
			return r, err
		}
		if i > 0 {
			r.helper, r.ours = append(r.helper, theirs), append(r.ours, ours)
		}
	}
	return r, nil
}

// ratio returns ours over the helper's wall time.
func (r helperRatio) ratio() float64 {
	all := make([]float64, len(r.ours))
	for i := range r.ours {
		all[i] = float64(r.ours[i].Wall) / float64(r.helper[i].Wall)
	}
	return median(all)
}
