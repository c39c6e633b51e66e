package iam

import (
	"cmp"

	"azekura/internal/api"
	"azekura/internal/store"
)

// A Member is an account that another manages.
type Member struct {
	ID         string // 12 digits
	Management string // the account that manages it
	RoleName   string // of the role with AdministratorAccess that Management may assume
	Created    api.Timestamp
}

// AddMember makes an account and its role, in the transaction of whoever keeps
// accounts; store.ErrConflict if there is an account of that id.
func AddMember(tx *store.Tx, m Member) error {
	if err := addAccount(tx, m.ID, false, m.Created); err != nil {
		return err
	}
	role := &entity{
		kind: roleKind, id: newID(roleKind.prefix), account: m.ID, path: "/", name: m.RoleName, created: m.Created, maxSession: 3600,
		trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + m.Management +
			`:root"},"Action":"sts:AssumeRole"}]}`,
	}
	added, err := insertRole(tx, role)
	if err != nil || !added {
		return cmp.Or(err, store.ErrConflict)
	}
	all := attachment{identityID: role.id, policyARN: administratorAccess, purpose: forPermissions}
	return insertAttached(tx, all, m.ID, m.Created)
}
