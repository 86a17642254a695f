package hints

import (
	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/failure"
)

// dockerHints are of steps/docker.
func dockerHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		docker.BadHost: {
			task:  "set DOCKER_HOST in the worker's environment to unix:///path/docker.sock or tcp://host:port",
			shell: "set DOCKER_HOST (--engine) to unix:///path/docker.sock or tcp://host:port, or --engine none",
		},
		docker.NoDaemon: {
			task: "start Docker on this worker, or set DOCKER_HOST in the worker's environment; on workers " +
				"without Docker set ECR_REFRESH_ENGINE=none there",
			shell: "start Docker, or set DOCKER_HOST (--engine); without Docker give --engine none",
		},
		docker.NotDocker: {
			task: "check that DOCKER_HOST and DOCKER_TLS_VERIFY in the worker's environment lead to Docker; a " +
				"proxy before it must pass GET /version and POST /auth",
			shell: "check that DOCKER_HOST (--engine) and DOCKER_TLS_VERIFY lead to Docker; a proxy before it " +
				"must pass GET /version and POST /auth",
		},
		docker.SocketPermission: {task: "add this user to the group of the socket (docker), or mount the socket " +
			"into the container"},
		docker.BadCertificates: {
			task: "check ca.pem, cert.pem and key.pem in DOCKER_CERT_PATH of the worker's environment: they must " +
				"be of Docker's CA, and Docker's certificate of its host's name; Docker must speak TLS 1.2 or newer",
			shell: "check ca.pem, cert.pem and key.pem in DOCKER_CERT_PATH: they must be of Docker's CA, and " +
				"Docker's certificate of its host's name; Docker must speak TLS 1.2 or newer",
		},
		docker.Unavailable: {task: "wait, and clear this task", shell: "wait, and run it again"},
	}
}

// dockerLoginHints are of steps/docker, too: what Docker answers, and its configuration.
func dockerLoginHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		docker.Failed: {
			task: "see the log of Docker on this worker, and check how it reaches the registry (its own proxy " +
				"settings)",
			shell: "see the log of Docker, and check how it reaches the registry (its own proxy settings)",
		},
		docker.BadCredential: {task: "clear extract_ecr_token with Downstream: it gets a new token", shell: "run " +
			"all three steps again"},
		docker.UntrustedRegistry: {task: "put the certificate of the registry's CA where Docker reads it: " +
			"/etc/docker/certs.d/HOST/ca.crt"},
		docker.BadEntry: {task: "remove this entry from {object} on the worker"},
		docker.EntryWins: {task: "remove this entry from {object} on the worker, or run there: " +
			"docker logout {want}"},
		docker.HarmlessEntry: {task: "remove the entry, as the user of the worker: docker logout {object}"},
		docker.OtherServer:   {task: "set the host of the connection to {object} alone, and empty its port"},
		docker.HelperFails: {
			task: "remove this entry from the worker's Docker configuration, or find out there why it fails: echo " +
				"{want} | {object} get",
		},
	}
}
