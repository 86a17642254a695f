package hints

import (
	"ecr-refresh/cmd/ecr-refresh/command"
	"ecr-refresh/cmd/ecr-refresh/connection"
	"ecr-refresh/cmd/ecr-refresh/dag"
	"ecr-refresh/cmd/ecr-refresh/doctor"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/manual"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/cmd/ecr-refresh/setup"
	"ecr-refresh/cmd/ecr-refresh/status"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/target"
)

// asAirflow says how to write a connection.
const asAirflow = `as Airflow's manual describes in "Storing connections in environment variables"`

// inputHints are of flags, the environment, the command line and dag.
func inputHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		command.Misspelt:     {task: "did you mean {want}?"},
		command.Usage:        {task: "see {object} --help"},
		command.StdoutFailed: {task: "check where stdout leads: its disk is full, or its reader has ended"},
		manual.BadShell:      {task: "give " + manual.Shells},
		dag.BadOption:        {task: "see ecr-refresh dag --help"},
		dag.FlagBefore:       {task: "write: ecr-refresh dag install --{object} …"},
		dag.BadSetting:       {task: "give it anew, or --force"},
		dag.Edited:           {task: "move it away, or give --force to lose what is in it"},
		dag.Unreadable:       {task: "check the permissions of the file and its folder"},
		input.Missing:        {task: "give {object}"},
		input.Conflict:       {task: "{want}"},
		input.BadVariable:    {task: "airflow variables set {object} {want}"},
		input.OldDAG:         {task: "deploy the DAG of this version: ecr-refresh dag install"},
		connection.Malformed: {
			task:  "remove {object} from the worker's environment, or write it " + asAirflow,
			shell: "write {object} " + asAirflow,
		},
		connection.BadAddress: {task: "correct schema (http or https), host and port of " + apiConn + "; a base path " +
			"belongs into its host, as https://host/path"},
		input.NoAirflow: {
			task: "create it: ecr-refresh setup, or Admin > Connections (type HTTP; host, port, login and " +
				"password of a user who may edit connections)",
			shell: "give --airflow-url and set " + names.AirflowPrefix + "{LOGIN,PASSWORD}, or set " +
				names.AirflowPrefix + "{HOST,PORT,LOGIN,PASSWORD} or AIRFLOW_CONN_AIRFLOW_API (a URI or JSON)",
		},
		input.NoField: {task: "set the {want} of connection {object}: Admin > Connections", shell: "give {service}"},
		input.NoDocker: {
			task: "create it: Admin > Connections (type Docker, its host the registry's name)",
			shell: "set " + names.DockerPrefix + "{HOST,PORT,LOGIN,PASSWORD}, " + names.LoginsEnv +
				" or {want} (a URI or JSON)",
		},
		input.NoPrivateKey: {
			task: "run 'ecr-refresh keygen' once and set the two Airflow Variables that it prints: this worker is " +
				"not the one that ran step 1",
			shell: "give --identity-file (" + names.IdentityFileEnv + ") or set " + names.PrivateKeyEnv +
				"; step 1 was run by another host or user, whose key is not in {object}",
		},
		input.NoHome: {
			task: "run 'ecr-refresh keygen' and set the two Airflow Variables that it prints",
			shell: "set HOME, or " + names.RecipientEnv + " for step 1 and " + names.PrivateKeyEnv +
				" for step 2 (ecr-refresh keygen)",
		},
		input.NotATarget: {
			task:  "trigger the DAG with connection_ids of " + names.TargetsVariable + ", or add this one to it",
			shell: "name connections of the list, or add this one to it",
		},
		input.CAFile: {
			task:  "set " + names.CAFileEnv + " in the worker's environment to a PEM file that its user may read",
			shell: "give a PEM file that this user may read",
		},
		input.PlainAirflow: {task: "set the schema of " + apiConn + " to https"},
		input.PlainDocker:  {task: "let Docker use TLS, and set DOCKER_TLS_VERIFY and DOCKER_CERT_PATH"},
		input.PlainECR:     {task: "set {object} to a URL with https"},
	}
}

const targetFields = "each entry has connection_id, and registry or account and region (ecr_targets.schema.json)"

// commandHints are of doctor, setup and status.
func commandHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		doctor.Failed:   {task: "each has a hint above"},
		setup.Differs:   {task: "look at what differs, then let ecr-refresh setup --force change it"},
		status.NoDAG:    {task: "deploy it (ecr-refresh dag install), or name another (--dag-id)"},
		status.NoToken:  {task: "trigger the DAG, and look at its last run"},
		status.TooShort: {task: "look at the last runs of the DAG: ecr-refresh doctor"},
	}
}

// targetHints are of steps/target.
func targetHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		target.BadList: {
			task:  "correct Variable " + names.TargetsVariable + ": " + targetFields,
			shell: "correct the targets: " + targetFields,
		},
		target.AccountMissing: {
			task: "airflow variables set " + names.AccountVariable + " ACCOUNT, or set the host of connection " +
				"{object} to its registry",
			shell: "give --account (" + names.AccountEnv + "), or set the host of connection {object} to its " +
				"registry",
		},
		target.RegionMissing: {
			task: "airflow variables set " + names.RegionVariable + " REGION, or set the host of connection " +
				"{object} to its registry",
			shell: "give --region (" + names.RegionEnv + "), or set the host of connection {object} to its registry",
		},
		target.RegistryMissing: {
			task: "set the host of connection {object} to its registry, or Variables " +
				names.AccountVariable + " and " + names.RegionVariable,
			shell: "give --account and --region (" + names.AccountEnv + ", " + names.RegionEnv + "), or set the " +
				"host of connection {object} to its registry",
		},
	}
}
