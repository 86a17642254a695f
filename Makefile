# `make help` prints the note behind each target's ##.
SHELL := /bin/bash
BIN   := bin
# The tag leaves out urfave/cli's generator of man pages, which nothing calls. -buildvcs sets the commit from git.
BUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=auto -tags urfave_cli_no_docs -ldflags '-s -w'

.PHONY: help build image man demo test integration compat lab lab-down lab-purge generate generate-openapi lint check bench bench-check pictures readme-test fuzz faults vuln release release-test reproduce

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/ecr-refresh, static and stripped
	@$(BUILD) -o $(BIN)/ ./cmd/ecr-refresh

image: build ## build bin/ecr-refresh-image.tar, for docker load
	@GOOS=linux $(BUILD) -o $(BIN)/linux/ ./cmd/ecr-refresh
	@go run ./cmd/ecr-image --binary $(BIN)/linux/ecr-refresh --output $(BIN)/ecr-refresh-image.tar \
	  --version "$$($(BIN)/ecr-refresh --version | cut -d ' ' -f 3)"

man: build ## write the manual page, bin/ecr-refresh.1
	@cmd/man.sh $(BIN)/ecr-refresh >$(BIN)/ecr-refresh.1

demo: build ## run the three steps against stand-ins; needs Go, but no AWS, Airflow or Docker
	@$(BUILD) -o $(BIN)/ ./cmd/ecr-sandbox
	@PATH="$(abspath $(BIN)):$$PATH" ecr-sandbox -- sh integration/sandbox/demo.sh

test: ## run all tests that need only Go: unit tests, scripts, faults, the suite on stand-ins
	@CGO_ENABLED=0 go test -tags urfave_cli_no_docs ./...

integration: build ## install and start real services, run the suite and the DAG on them, stop them
	@integration/real/run.sh

compat: build ## the same for all releases of Airflow and both auth managers; writes docs/compatibility.md
	@go run ./integration/real/compat

lab: build ## start real Airflow, Docker and registry with the DAG deployed; prints the login
	@integration/real/peers/install.sh
	@go run ./integration/real/lab up

lab-down: ## stop and remove the lab; says what stays
	@go run ./integration/real/lab down

lab-purge: lab-down ## remove the lab, and what it and the integration tests installed: a cache, Debian's packages
	@integration/real/peers/purge.sh

generate: ## generate Airflow's API client from airflowclient/openapi.yaml
	@go generate ./airflowclient

generate-openapi: ## generate airflowclient/openapi.yaml from Airflow's wheel (downloaded by pip), then the client
	@python3 airflowclient/cut_openapi.py
	@$(MAKE) --no-print-directory generate

readme-test: build ## run the README's commands: on stand-ins, and in a lab of real services
	@go test -count=1 -run '^TestReadme$$' ./integration/sandbox/readme
	@integration/real/run.sh -run '^TestRealReadme$$'

FUZZTIME := 10s
# Encryption is random, so an "interesting" input is not so when it is run again: without a limit, minimizing each one takes
# a minute, and so all of FUZZTIME.
fuzz: ## run each fuzz target for FUZZTIME; failing inputs go to testdata/fuzz
	@grep -rlE '^func Fuzz' --include='*_test.go' . | while read -r file; do \
	  for target in $$(sed -nE 's/^func (Fuzz\w+).*/\1/p' "$$file"); do \
	    go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x "$$(dirname "$$file")" || exit 1; \
	  done; \
	done

faults: ## run with all faults of services, network and files; writes the table of docs/reliability.md
	@FAULTS="$(CURDIR)/docs/reliability.md" go test -count=1 ./integration/sandbox/faults
	@FAULTS_RACE=1 go test -count=1 -run '^Test(Faults|Secrets|PanicShowsNoSecret)$$/^(airflow|ecr|registry|engine)' ./integration/sandbox/faults

vuln: ## look for known vulnerabilities; needs access to vuln.go.dev, so CI does not run it
	@GOBIN="$(CURDIR)/$(BIN)" go install golang.org/x/vuln/cmd/govulncheck@v1.9.0
	@$(BIN)/govulncheck ./... || case $$? in \
	  3) echo "make vuln: the program calls code with known vulnerabilities: see above"; exit 1 ;; \
	  *) echo "make vuln: nothing was checked: govulncheck could not reach its database, https://vuln.go.dev"; exit 1 ;; \
	esac

lint: ## gofmt, vet, staticcheck
	@off=$$(gofmt -l cmd steps airflowclient dags integration *.go); [ -z "$$off" ] || { echo "gofmt: $$off"; exit 1; }
	@go vet ./...
	@go tool staticcheck ./...

SBOM := go run -trimpath github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0 app -json -noserial -licenses -assert-licenses -std -main cmd/ecr-refresh
# Disabled rules: names that look like secrets (G101), ignored errors (G104), the one place where a token is marshalled to be
# encrypted (G117), file names from the user (G304).
GOSEC := go run github.com/securego/gosec/v2/cmd/gosec@v2.30.0 -quiet -exclude-generated -exclude=G101,G104,G117,G304 -exclude-dir=integration -exclude-dir=cmd/ecr-sandbox

check: lint ## lint, race detector, gosec, licences, and whether generated code is up to date
	@go test -race $$(go list ./... | grep -v /integration/sandbox/faults) # faults build the program themselves: with the race detector, on the next line
	@FAULTS_RACE=1 go test -run '^Test(Faults|PanicShowsNoSecret)$$/^airflow' ./integration/sandbox/faults
	@$(GOSEC) ./...
	@CGO_ENABLED=0 GOFLAGS=-tags=urfave_cli_no_docs $(SBOM) 2>/dev/null | python3 .ci/licences.py
	@mkdir -p $(BIN)
	@cp airflowclient/client.gen.go $(BIN)/client.gen.go.now && $(MAKE) --no-print-directory generate && \
	  cmp airflowclient/client.gen.go $(BIN)/client.gen.go.now || { echo "generated code is not up to date: commit what 'make generate' made"; exit 1; }
	@go mod tidy -diff
	@go mod verify

bench: build ## compare the steps with Python and AWS's credential helper, on real Airflow too; writes docs/benchmarks.md
	@integration/bench/run.sh

bench-check: build ## the same, and fail if a figure is over its limit
	@integration/bench/run.sh -check

pictures: build ## write docs/pictures/: screenshots of a real Airflow's UI, and of doctor --run
	@mkdir -p docs/pictures
	@PICTURES="$(CURDIR)/docs/pictures" integration/real/run.sh -run '^TestRealUI$$'

release: man ## write bin/release: binaries, wheels and packages for each platform, image, SBOM, checksums
	@cmd/release.sh

release-test: release ## install each of these: pip, uv, dpkg, rpm, Docker, Podman, arm64 under qemu (as root on Debian)
	@integration/real/release.sh

reproduce: ## build the release twice, in new clones of this commit, and compare all bytes
	@.ci/reproduce.sh
