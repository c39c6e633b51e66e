package iam

import (
	"crypto/sha256"
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"azekura/internal/api"
	model "azekura/internal/api/iam"
	"azekura/internal/policy"
)

const administratorAccess = "arn:aws:iam::aws:policy/AdministratorAccess"

// A managed is a managed policy: of an account, or one of those that all
// accounts have and none can change. An operation has one only from
// lookPolicy, changePolicy and the pages of lists, which decide.
type managed struct {
	id, account, path, name string // account is "aws" for AWS's own
	rev                     int64
	description             string
	tags                    tags
	version, newest         int64 // the default version, and the highest that there was
	created, updated        api.Timestamp

	// Of AWS's own: the document, and the same compiled when somebody first has
	// it.
	text     string
	compiled func() *policy.Document
}

const awsAccount = "aws"

func (p *managed) arn() string { return arnOf(p.account, "policy", p.path, p.name) }

// managedFiles are the documents of the policies that belong to no account, in
// folders named after their paths. Who attaches one means what AWS's policy of
// that name grants, of the services that are served here.
//
//go:embed managed
var managedFiles embed.FS

// awsDescriptions says what each of them is for.
var awsDescriptions = map[string]string{
	"AdministratorAccess":              "Everything, on everything.",
	"PowerUserAccess":                  "Everything but users, groups, roles, accounts and the organization.",
	"ReadOnlyAccess":                   "Reading of everything but secret values.",
	"ViewOnlyAccess":                   "Lists of what there is, without its contents.",
	"IAMFullAccess":                    "Everything in IAM.",
	"IAMReadOnlyAccess":                "Reading of everything in IAM.",
	"IAMUserChangePassword":            "Users may change their own passwords.",
	"SecretsManagerReadWrite":          "Everything in Secrets Manager, and what rotation needs.",
	"SecurityAudit":                    "Reading of how things are configured, for audits.",
	"AWSKeyManagementServicePowerUser": "Making and describing KMS keys, without using or deleting them.",
	"AWSCloudTrail_ReadOnlyAccess":     "Reading of the audit trail.",
	"AWSCloudTrail_FullAccess":         "Everything in CloudTrail.",
	"AWSOrganizationsFullAccess":       "Everything in Organizations.",
	"AWSOrganizationsReadOnlyAccess":   "Reading of everything in Organizations.",
	"AWSLambdaBasicExecutionRole":      "Writing of a function's log.",

	"SecretsManagerRotationServiceRolePolicy":    "What Secrets Manager needs to rotate secrets.",
	"SecretsManagerReplicationServiceRolePolicy": "What Secrets Manager needs to replicate secrets.",
}

// awsPolicies are AWS's own managed policies, in the order of their folded
// names.
var awsPolicies = sync.OnceValue(func() (all []*managed) {
	err := fs.WalkDir(managedFiles, "managed", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := managedFiles.ReadFile(file)
		all = append(all, newAWSPolicy(strings.TrimPrefix(path.Dir(file)+"/", "managed"), strings.TrimSuffix(path.Base(file), ".json"), string(text)))
		return err
	})
	if err != nil {
		panic(err) // what was compiled in can be read
	}
	slices.SortFunc(all, func(a, b *managed) int { return strings.Compare(fold(a.name), fold(b.name)) })
	return all
})

// awsCreated is the date that AWS's own policies bear: 2015-02-06, that of the
// first of them.
const awsCreated = api.Timestamp(1423247986000)

func newAWSPolicy(path, name, text string) *managed {
	p := &managed{
		account: awsAccount, path: path, name: name, text: text, description: awsDescriptions[name],
		version: 1, newest: 1, created: awsCreated, updated: awsCreated,
	}
	sum := sha256.Sum256([]byte(p.arn()))
	id := []byte("ANPA")
	for _, b := range sum[:17] {
		id = append(id, alphabet[b%32])
	}
	p.id = string(id)
	p.compiled = sync.OnceValue(func() *policy.Document {
		document, err := policy.Parse(text, policy.Identity)
		if err != nil {
			return nil
		}
		return document
	})
	return p
}

var awsByARN = sync.OnceValue(func() map[string]*managed {
	all := map[string]*managed{}
	for _, p := range awsPolicies() {
		all[p.arn()] = p
	}
	return all
})

// awsManaged is the one of AWS's own policies that has an ARN, nil if there is
// none.
func awsManaged(policyARN string) *managed { return awsByARN()[policyARN] }

// boundaryModel is how answers show a permissions boundary, nil for none.
func boundaryModel(policyARN string) *model.AttachedPermissionsBoundary {
	if policyARN == "" {
		return nil
	}
	return &model.AttachedPermissionsBoundary{PermissionsBoundaryType: new("Policy"), PermissionsBoundaryArn: &policyARN}
}
