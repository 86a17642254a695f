package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
)

// helperRatio compares step 1 with docker-credential-ecr-login, which gets the same token from the same ECR.
type helperRatio struct {
	helper, unchecked, checked []usage
}

// againstHelper runs the three in turn: the helper, step 1 without the registry check, and with it. Each trusts the
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
	step := func(args ...string) (usage, error) {
		return b.measure(b.peers.Environ(), append([]string{
			shell, "-c", `out="$1"; shift; exec "$@" >"$out"`, "sh", out, b.refresh, "extract-ecr-token",
		}, args...)...)
	}
	env := append(b.trusting(), "HOME="+home, "AWS_ECR_DISABLE_CACHE=true")
	for i := range b.pairs + 1 {
		theirs, err1 := b.measure(env, shell, "-c", `exec "$1" get <"$2" >"$3"`, "sh", b.helper, host, out)
		without, err2 := step("--skip-registry-check")
		with, err3 := step()
		if err := errors.Join(err1, err2, err3); err != nil {
			return r, err
		}
		if i > 0 {
			r.helper = append(r.helper, theirs)
			r.unchecked, r.checked = append(r.unchecked, without), append(r.checked, with)
		}
	}
	return r, nil
}

// ratios returns ours over the helper's wall time, without and with the check.
func (r helperRatio) ratios() (unchecked, checked float64) {
	of := func(ours []usage) float64 {
		all := make([]float64, len(ours))
		for i := range ours {
			all[i] = float64(ours[i].Wall) / float64(r.helper[i].Wall)
		}
		return median(all)
	}
	return of(r.unchecked), of(r.checked)
}
