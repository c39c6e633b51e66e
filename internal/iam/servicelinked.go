package iam

import (
	"context"
	"encoding/base64"
	"strings"

	model "azekura/internal/api/iam"
	"azekura/internal/call"
	"azekura/internal/envelope"
	"azekura/internal/store"
)

// A linkedRole is the role that a service has in an account: one, which the
// service alone assumes, and nobody changes.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/using-service-linked-roles.html
type linkedRole struct {
	service, name string
	policyARN     string // what it may do
}

const serviceLinkedPath = "/aws-service-role/"

// linkedRoles are those of the services that act for themselves here.
var linkedRoles = []linkedRole{
	{
		service: "rotation.secretsmanager.amazonaws.com", name: "AWSServiceRoleForSecretsManagerRotation",
		policyARN: "arn:aws:iam::aws:policy/aws-service-role/SecretsManagerRotationServiceRolePolicy",
	},
	{
		service: "replication.secretsmanager.amazonaws.com", name: "AWSServiceRoleForSecretsManagerReplication",
		policyARN: "arn:aws:iam::aws:policy/aws-service-role/SecretsManagerReplicationServiceRolePolicy",
	},
}

func (l *linkedRole) trust() string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":["` + l.service + `"]},"Action":["sts:AssumeRole"]}]}`
}

// isServiceLinked says whether a role under a path belongs to a service.
func isServiceLinked(path string) bool { return strings.HasPrefix(path, serviceLinkedPath) }

// CreateServiceLinkedRole makes the role of a service.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateServiceLinkedRole.html
func (s *Service) CreateServiceLinkedRole(ctx context.Context, c *call.Call, in *model.CreateServiceLinkedRoleInput) (*model.CreateServiceLinkedRoleOutput, error) {
	path := serviceLinkedPath + *in.AWSServiceName + "/"
	var linked *linkedRole
	for i := range linkedRoles {
		if linkedRoles[i].service == *in.AWSServiceName {
			linked = &linkedRoles[i]
		}
	}
	if linked == nil {
		if err := c.Allow(call.Target{ARN: arnOf(c.Principal.Account, "role", path, "*"), Keys: conditionKeys(c, nil, "")}); err != nil {
			return nil, err
		}
		return nil, model.InvalidInput("Cannot find Service Linked Role template for %s", *in.AWSServiceName)
	}
	e := newEntity(c, roleKind, &path, linked.name)
	e.trust, e.maxSession, e.description = linked.trust(), defaultSession, deref(in.Description)
	err := s.create(ctx, c, e, nil, "", func(tx *store.Tx, e *entity) (bool, error) {
		if in.CustomSuffix != nil {
			return false, model.InvalidInput("Custom suffix is not allowed for %s", linked.service)
		}
		added, err := insertRole(tx, e)
		switch {
		case err != nil:
			return false, err
		case !added:
			return false, model.InvalidInput("Service role name %s has been taken in this account, please try a different suffix.", e.name)
		}
		return true, insertAttached(tx, attachment{e.id, linked.policyARN, forPermissions}, e.account, e.created)
	})
	if err != nil {
		return nil, err
	}
	return &model.CreateServiceLinkedRoleOutput{Role: new(e.madeRole(e.trust))}, nil
}

// DeleteServiceLinkedRole deletes the role of a service, at once: the task that
// it names is done.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteServiceLinkedRole.html
func (s *Service) DeleteServiceLinkedRole(ctx context.Context, c *call.Call, in *model.DeleteServiceLinkedRoleInput) (*model.DeleteServiceLinkedRoleOutput, error) {
	var deleted *entity
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		e, err := s.permitted(tx, c, roleKind, *in.RoleName, tx.ForUpdate())
		if err != nil {
			return err
		}
		if !isServiceLinked(e.path) {
			return roleKind.notFound(e.name)
		}
		attached, err := selectAttached(tx, e.id)
		if err != nil {
			return err
		}
		for _, policyARN := range attached {
			if _, err := deleteAttached(tx, attachment{e.id, policyARN, forPermissions}); err != nil {
				return err
			}
		}
		deleted = e
		s.identities.Changed(tx, e.id)
		return deleteEntity(tx, roleKind, e.id)
	})
	if err != nil {
		return nil, err
	}
	return &model.DeleteServiceLinkedRoleOutput{DeletionTaskId: new(s.deletionTask(deleted))}, nil
}

// deletionTask is the id of a deletion, task/aws-service-role/service/role/...
// Its last part is sealed: an id that is taken is one of a role that was
// deleted here, so nothing has to be kept to know it.
func (s *Service) deletionTask(e *entity) string {
	sealed := s.keyring.Seal([]byte(e.id), deletionAAD(e.account, e.path+e.name))
	return "task" + e.path + e.name + "/" + base64.RawURLEncoding.EncodeToString(sealed)
}

func deletionAAD(account, role string) []byte {
	return envelope.AAD("iam deletion of a service-linked role", account, role)
}

// GetServiceLinkedRoleDeletionStatus says what has become of a deletion.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetServiceLinkedRoleDeletionStatus.html
func (s *Service) GetServiceLinkedRoleDeletionStatus(ctx context.Context, c *call.Call, in *model.GetServiceLinkedRoleDeletionStatusInput) (*model.GetServiceLinkedRoleDeletionStatusOutput, error) {
	role, sealed := "/", ""
	if rest, ok := strings.CutPrefix(*in.DeletionTaskId, "task"); ok {
		if cut := strings.LastIndexByte(rest, '/'); cut > 0 {
			role, sealed = rest[:cut], rest[cut+1:]
		}
	}
	if err := c.Allow(call.Target{ARN: arnOf(c.Principal.Account, "role", role, ""), Keys: conditionKeys(c, nil, "")}); err != nil {
		return nil, err
	}
	blob, err := base64.RawURLEncoding.DecodeString(sealed)
	if err == nil {
		_, err = s.keyring.Open(blob, deletionAAD(c.Principal.Account, role))
	}
	if err != nil {
		return nil, model.NoSuchEntity("The deletion task with id %s cannot be found.", *in.DeletionTaskId)
	}
	return &model.GetServiceLinkedRoleDeletionStatusOutput{Status: new("SUCCEEDED")}, nil
}
