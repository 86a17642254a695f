package hints

import (
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
)

// ecrHints are of steps/ecr.
func ecrHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		ecr.AccessDenied: {task: "allow {want} on resource * to this AWS identity"},
		ecr.RoleDenied: {task: "allow {want} on the role to this AWS identity, and name this identity in the " +
			"role's trust policy; check external_id"},
		ecr.WebIdentityDenied: {task: "let the role's trust policy accept the token's issuer, audience and " +
			"subject (AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE)"},
		ecr.SSOLogin: {
			task: "use an AWS profile without IAM Identity Center on the workers, or log in there (aws sso login) " +
				"and check sso_account_id and sso_role_name of the profile",
			shell: "log in (aws sso login), and check sso_account_id and sso_role_name of the profile",
		},
		ecr.BadKeys: {
			task: "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the worker's environment, the region, and " +
				"the worker's clock",
			shell: "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, the region, and this machine's clock",
		},
		ecr.SessionExpired: {
			task: "give the worker a role, or put a new AWS_SESSION_TOKEN with its keys into the worker's " +
				"environment; check the worker's clock",
			shell: "get a new AWS session (aws sso login, a role, or AWS_SESSION_TOKEN with its keys), and check " +
				"this machine's clock",
		},
		ecr.ClockSkew: {
			task:  "set the worker's clock (NTP): AWS accepts signatures of the last 15 minutes",
			shell: "set this machine's clock (NTP): AWS accepts signatures of the last 15 minutes",
		},
		ecr.WrongAccountOrRegion: {
			task: "check Variables " + names.AccountVariable + " and " + names.RegionVariable +
				" (or " + names.TargetsVariable + "), and that the region is enabled in the account",
			shell: "check --account and --region (or --targets), and that the region is enabled in the account",
		},
		ecr.Throttled: {
			task:  "spread the runs of DAGs that call ECR in this account and region: its limit is 20 calls a second",
			shell: "run it again in a minute; ECR's limit is 20 calls a second in an account and region",
		},
		ecr.Unavailable: {
			task:  "see https://health.aws.amazon.com/health/status if the retries fail, too",
			shell: "run it again in a minute; if it fails again, see https://health.aws.amazon.com/health/status",
		},
		ecr.NotAWS: {
			task: "check AWS_ENDPOINT_URL and HTTPS_PROXY in the worker's environment: something answers in the " +
				"place of AWS",
			shell: "check AWS_ENDPOINT_URL and HTTPS_PROXY: something answers in the place of AWS",
		},
		ecr.BadConfig: {
			task:  "check AWS_PROFILE, AWS_CONFIG_FILE and AWS_CA_BUNDLE in the worker's environment",
			shell: "check AWS_PROFILE, AWS_CONFIG_FILE and AWS_CA_BUNDLE",
		},
		ecr.NoCredentials: {
			task:  "attach a role to the worker, or set AWS_PROFILE or AWS_ACCESS_KEY_ID in the worker's environment",
			shell: "set AWS_PROFILE or AWS_ACCESS_KEY_ID, or attach a role to this machine",
		},
		ecr.ProcessFailed: {
			task:  "run credential_process of the AWS profile by hand on the worker, as the worker's user",
			shell: "run credential_process of the AWS profile (AWS_PROFILE) by hand",
		},
		ecr.ContainerEndpoint: {task: "check the pod's Pod Identity association (EKS) or the task's role (ECS), " +
			"and the role's trust policy"},
		ecr.HopLimit: {task: "in a container, set the instance's hop limit to 2 (aws ec2 " +
			"modify-instance-metadata-options --http-put-response-hop-limit 2); elsewhere, set AWS_PROFILE or " +
			"AWS_ACCESS_KEY_ID"},
		ecr.NotECRHost: {task: "give ACCOUNT.dkr.ecr.REGION.amazonaws.com, its FIPS, dual-stack or other " +
			"partition's form, or public.ecr.aws; for a new partition, add partition_suffix to an entry of " +
			"" + names.TargetsVariable},
	}
}

// registryHints are of steps/registry.
func registryHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		registry.WrongRegion: {
			task: "check that {object} is in the region of the token: Variable " + names.RegionVariable + " or " +
				names.TargetsVariable + "; ECR answers 400 to a token of another region, or to one that was altered",
			shell: "check that {object} is in the region of the token (--region or --targets): ECR answers 400 to " +
				"a token of another region, or to one that was altered",
		},
		registry.Rejected: {
			task: "clear extract_ecr_token with Downstream for a new token; if {object} rejects that, too, allow " +
				"its identity to use this registry (repository policy, VPC endpoint policy)",
			shell: "get a new token (extract-ecr-token); if {object} rejects that, too, allow its identity to use " +
				"this registry (repository policy, VPC endpoint policy)",
		},
		registry.Unavailable: {
			task:  "see https://health.aws.amazon.com/health/status if the retries fail, too",
			shell: "run it again in a minute; if it fails again, see https://health.aws.amazon.com/health/status",
		},
		registry.NotRegistry: {task: "check that {object} is a Docker registry, and HTTPS_PROXY and NO_PROXY"},
	}
}
