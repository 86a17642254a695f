package ecr

// Source is what decides which token ECR gives: a token is good for every account's registry of its region that its
// identity may reach.
type Source struct {
	Identity
	Service   string // Private or Public
	Region    string
	Endpoint  string // https://HOST of ECR's API, in place of the SDK's own; then FIPS and DualStack change nothing
	STS       string // https://HOST of STS, in place of the SDK's own
	FIPS      bool   // ask the FIPS endpoint
	DualStack bool   // ask the endpoint that has IPv6 too
}

// Identity is who asks for a token. The zero value is what AWS's default credential chain finds.
type Identity struct {
	Profile         string // of ~/.aws/config
	RoleARN         string // to assume
	ExternalID      string // that the role's trust policy wants
	RoleSessionName string // as CloudTrail shows it; "": ecr-refresh
}
