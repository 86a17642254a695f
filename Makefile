# Each target's note is what `make help` prints.
SHELL := /bin/bash
BIN   := bin
# The library's man page generator stays out: nothing calls it. -buildvcs stamps the version from git.
BUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=auto -tags urfave_cli_no_docs -ldflags '-s -w'

.PHONY: help build image man demo test integration compat lab lab-down generate generate-openapi lint check bench bench-check pictures readme-test fuzz faults vuln release reproduce

help: ## print these notes
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/ecr-refresh, static and stripped
	@$(BUILD) -o $(BIN)/ ./cmd/ecr-refresh

image: ## pack bin/ecr-refresh-image.tar, for docker load
	@GOOS=linux $(BUILD) -o $(BIN)/linux/ ./cmd/ecr-refresh
	@go run ./cmd/ecr-image --binary $(BIN)/linux/ecr-refresh --output $(BIN)/ecr-refresh-image.tar

man: build ## make the manual page, bin/ecr-refresh.1
	@$(BIN)/ecr-refresh man >$(BIN)/ecr-refresh.1

demo: build ## run the three steps against stand-ins: needs Go, and neither AWS, Airflow nor Docker
	@$(BUILD) -o $(BIN)/ ./cmd/ecr-sandbox
	@PATH="$(abspath $(BIN)):$$PATH" ecr-sandbox -- sh integration/sandbox/demo.sh

test: ## run all that needs only Go: units, command line scripts, the suite on stand-ins
	@CGO_ENABLED=0 go test -tags urfave_cli_no_docs ./...

integration: build ## install and start the real peers, run the suite on them and the DAG in Airflow, stop them
	@integration/real/run.sh

compat: build ## the same on all releases of Airflow and both auth managers; writes docs/compatibility.md
	@go run ./integration/real/compat

lab: build ## leave real Airflow, Docker Engine and registry running, with the DAG deployed; prints the login
	@integration/real/peers/install.sh
	@go run ./integration/real/lab up

lab-down: ## stop what `make lab` started
	@go run ./integration/real/lab down

generate: ## make the API client anew from airflowclient/openapi.yaml
	@go generate ./airflowclient

generate-openapi: ## cut airflowclient/openapi.yaml anew out of Airflow's wheel (pip downloads it)
	@python3 airflowclient/cut_openapi.py
	@$(MAKE) --no-print-directory generate

readme-test: build ## run the README's commands: among the stand-ins, and the DAG in a lab of real peers
	@go test -count=1 -run '^TestReadme$$' ./integration/sandbox/readme
	@integration/real/run.sh -run '^TestRealReadme$$'

FUZZTIME := 10s
# A seal differs each time it is made, so that an input that is "interesting" is not so again: without a bound, making it
# smaller takes a minute of each, and the target's whole time.
fuzz: ## run each fuzz target for FUZZTIME; what it finds is kept below testdata/fuzz
	@grep -rlE '^func Fuzz' --include='*_test.go' . | while read -r file; do \
	  for target in $$(sed -nE 's/^func (Fuzz\w+).*/\1/p' "$$file"); do \
	    go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x "$$(dirname "$$file")" || exit 1; \
	  done; \
	done

faults: ## run all faults of peers, network and files; writes the table of docs/reliability.md
	@FAULTS="$(CURDIR)/docs/reliability.md" go test -count=1 ./integration/sandbox/faults
	@FAULTS_RACE=1 go test -count=1 -run '^Test(Secrets|PanicShowsNoSecret)$$' ./integration/sandbox/faults

vuln: ## look for known vulnerabilities; needs the way to vuln.go.dev, so it is no part of CI
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
# Not looked for: names that sound like secrets (G101), best efforts (G104), the one place where a token is marshalled into
# its seal (G117), files that the user names (G304).
GOSEC := go run github.com/securego/gosec/v2/cmd/gosec@v2.30.0 -quiet -exclude-generated -exclude=G101,G104,G117,G304 -exclude-dir=integration -exclude-dir=cmd/ecr-sandbox

check: lint ## lint, the race detector, gosec, licences, and whether the generated code is up to date
	@go test -race $$(go list ./... | grep -v /integration/sandbox/faults) # that one runs the program as it is built: with the detector, next
	@FAULTS_RACE=1 go test -run '^Test(Secrets|PanicShowsNoSecret)$$/^airflow' ./integration/sandbox/faults
	@$(GOSEC) ./...
	@CGO_ENABLED=0 GOFLAGS=-tags=urfave_cli_no_docs $(SBOM) 2>/dev/null | python3 .ci/licences.py
	@mkdir -p $(BIN)
	@cp airflowclient/client.gen.go $(BIN)/client.gen.go.now && $(MAKE) --no-print-directory generate && \
	  cmp airflowclient/client.gen.go $(BIN)/client.gen.go.now || { echo "generated code is not up to date: commit what 'make generate' made"; exit 1; }
	@go mod tidy -diff
	@go mod verify

bench: build ## time the steps beside Python, AWS's helper and real Airflow's floor; writes docs/benchmarks.md
	@integration/bench/run.sh

bench-check: build ## the same, and fail when a figure misses its bar
	@integration/bench/run.sh -check

pictures: build ## make docs/pictures/ anew: a browser at the UI of a real Airflow
	@mkdir -p docs/pictures
	@PICTURES="$(CURDIR)/docs/pictures" integration/real/run.sh -run '^TestRealUI$$'

release: man ## make bin/release: binaries and images for each platform, SBOM, checksums
	@cmd/release.sh

reproduce: ## make the release twice, each time in a new clone of this commit, and compare all bytes
	@.ci/reproduce.sh
