package hints

import (
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/privatefile"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/xcom"
)

// stepHints are of the three steps and of the results that they hand on.
func stepHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		xcom.NoResult: {task: "clear {object} with Downstream", shell: "run that step first, and pass its result " +
			"with --in"},
		xcom.OtherVersion: {task: "install the same version of ecr-refresh on all workers, and clear {object} " +
			"with Downstream"},
		xcom.BadResult: {task: "clear {object} with Downstream: it makes a new result", shell: "run that step again"},
		xcom.NotAResult: {
			task: "clear {object} with Downstream; with DockerOperator, update apache-airflow-providers-docker to " +
				"4.5.1 or newer: older ones cut a long result",
			shell: "pass the last line that this step printed, unchanged",
		},
		steps.OldResult: {
			task:  "clear extract_ecr_token with Downstream: it gets a new token",
			shell: "run extract-ecr-token again, or raise --max-age (ECR_REFRESH_MAX_AGE)",
		},
		steps.AlteredResult: {task: "clear extract_ecr_token with Downstream: it makes a new result", shell: "run " +
			"extract-ecr-token again"},
		steps.HostMismatch: {
			task: "set the host of connection {object} to {want}, or name another connection in Variable " +
				names.TargetsVariable,
			shell: "set the host of connection {object} to {want}, or name another connection with " +
				"--connection-ids (ECR_REFRESH_CONNECTION_IDS)",
		},
		steps.EarlierFailure: {task: "see the log of {object}"},
		steps.NotGiven: {
			task:  "install the DAG file of this version: it passes each connection on",
			shell: "set AIRFLOW_CONN_… of connection {object}, or ECR_REFRESH_DOCKER_SECRETS",
		},
		steps.NoLogin: {task: "run the DAG without dry_run, and check what overrides the connection on the workers"},
		steps.Overridden: {
			task: "check AIRFLOW_CONN_… in the workers' environment, and the secrets backend, for connection " +
				"{object}: tasks read both before Airflow's database, and a refresh updates only the database",
		},
		steps.OverriddenByVariable: {
			task: "unset {want} on the workers: tasks read it before Airflow's database, and a refresh updates " +
				"only the database",
		},
		steps.ManyFailed: {task: "see the error lines above"},
	}
}

// secretHints are of steps/secret: keys and encryption.
func secretHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		secret.NotAPublicKey: {
			task: "run 'ecr-refresh keygen' and set Variables " + names.RecipientVariable + " and " +
				names.PrivateKeyVariable +
				" as it prints",
			shell: "run 'ecr-refresh keygen' and set ECR_REFRESH_RECIPIENT (--recipient) to its public key (age1…)",
		},
		secret.NotAPrivateKey: {
			task: "run 'ecr-refresh keygen' and set Variables " + names.RecipientVariable + " and " +
				names.PrivateKeyVariable +
				" as it prints",
			shell: "run 'ecr-refresh keygen' and set ECR_REFRESH_PRIVATE_KEY to its private key, or name a file " +
				"that holds it with --identity-file (ECR_REFRESH_IDENTITY_FILE)",
		},
		secret.OtherKeyPair: {
			task: "use one key pair for all workers: run 'ecr-refresh keygen' once and set Variables " +
				names.RecipientVariable +
				" and " + names.PrivateKeyVariable + " as it prints",
			shell: "use one key pair for steps 1 and 2: run 'ecr-refresh keygen' once, and set " +
				"ECR_REFRESH_RECIPIENT for step 1 and ECR_REFRESH_PRIVATE_KEY for step 2",
		},
		secret.Damaged: {task: "clear extract_ecr_token with Downstream: it encrypts a new token", shell: "run " +
			"extract-ecr-token again"},
		secret.CannotStoreKey: {
			task: "let this worker's user create {object}, or run 'ecr-refresh keygen' and set Variables " +
				names.RecipientVariable +
				" and " + names.PrivateKeyVariable + " as it prints",
			shell: "make {object} writable, or run 'ecr-refresh keygen' and set ECR_REFRESH_RECIPIENT and " +
				"ECR_REFRESH_PRIVATE_KEY",
		},
	}
}

// fileHints are of steps/privatefile.
func fileHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		privatefile.SymbolicLink: {task: "name the file itself, not a link to it"},
		privatefile.NotRegular: {task: "name a regular file", shell: "name a regular file; --in - reads a result " +
			"from stdin"},
		privatefile.OtherOwner: {task: "run: chown {want} {object}"},
		privatefile.OpenToOthers: {task: "run: chmod 600 {object}; a Kubernetes Secret needs defaultMode 0400, or " +
			"0440 with fsGroup"},
		privatefile.TooLong:        {task: "name the file that ecr-refresh wrote: it is far smaller"},
		privatefile.NotReplaceable: {task: "name a regular file"},
		privatefile.DiskFull:       {task: "make room on its disk, or name a file on another disk"},
		privatefile.NotWritable:    {task: "name a file in a folder that user {want} may write to"},
		privatefile.NoFolder:       {task: "make its folder, or name a file in another folder"},
	}
}

// networkHints are of steps/failure: calls without an answer.
func networkHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		failure.Untrusted: {
			task: "if a proxy or a private CA stands between, set ECR_REFRESH_CA_FILE in the worker's environment " +
				"to its certificate; else check the clock and the name of {object}",
			shell: "if a proxy or a private CA stands between, name its certificate with --ca-file " +
				"(ECR_REFRESH_CA_FILE); else check the clock and the name of {object}",
		},
		failure.TLSAlert: {task: "let {object}, or the proxy before it, speak TLS 1.2 or newer and require no " +
			"client certificate"},
		failure.Timeout: {
			task: "check the network between this worker and {object}, and HTTPS_PROXY and NO_PROXY in the " +
				"worker's environment",
			shell: "check the network between this machine and {object}, HTTPS_PROXY and NO_PROXY",
		},
		failure.Unreachable: {
			task:  "check the name and port of {object}, and HTTPS_PROXY and NO_PROXY in the worker's environment",
			shell: "check the name and port of {object}, HTTPS_PROXY and NO_PROXY",
		},
	}
}
