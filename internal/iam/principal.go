package iam

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"azekura/internal/arn"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// StorePrincipals is a document that names principals, as it is stored: with
// unique ids in the place of the ARNs of users and roles, so that it does not
// trust who takes a name after its owner is gone. The document has been parsed.
// A user or role that does not exist is a *policy.SyntaxError with IAM's text;
// so is an id of nobody. All else stays as it was written.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
func StorePrincipals(tx *store.Tx, document string) (string, error) {
	ids := map[string]string{}
	for _, named := range policy.AWSPrincipals(document) {
		id, err := principalID(tx, named)
		if err != nil {
			return "", err
		}
		ids[named] = id
	}
	return policy.MapAWSPrincipals(document, func(named string) string { return ids[named] }), nil
}

// principalID is what stands for a principal in a stored document.
func principalID(tx *store.Tx, named string) (string, error) {
	e, err := namedEntity(tx, named)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "", unknownPrincipal(named)
	case err != nil:
		return "", err
	case e == nil:
		return named, nil
	}
	return e.id, nil
}

// namedEntity is the user or role that a principal names by ARN or id, nil if
// it is of another form. ARNs are compared with regard to case.
func namedEntity(tx *store.Tx, named string) (*entity, error) {
	if k := kindOf(named); k == userKind || k == roleKind {
		return selectEntityByID(tx, k, named)
	}
	a, err := arn.Parse(named)
	if err != nil || a.Service != "iam" {
		return nil, nil
	}
	k, name := entityIn(a)
	if k == nil {
		return nil, nil
	}
	e, err := selectEntity(tx, k, a.Account, name, "")
	if err == nil && e.arn() != named {
		err = store.ErrNotFound
	}
	return e, err
}

func unknownPrincipal(named string) error {
	return &policy.SyntaxError{Message: fmt.Sprintf(`Invalid principal in policy: "AWS":"%s"`, named), Principal: named}
}

// ShowPrincipals is a stored document as it is shown: with the ARNs of those
// users and roles that still exist. The ids of the others stay.
func ShowPrincipals(tx *store.Tx, document string) (string, error) {
	shown, err := showAll(tx, []string{document})
	if err != nil {
		return "", err
	}
	return shown[0], nil
}

// showAll is ShowPrincipals for many documents at once.
func showAll(tx *store.Tx, documents []string) ([]string, error) {
	held := map[*kind][]string{}
	for _, document := range documents {
		for _, named := range policy.AWSPrincipals(document) {
			if k := kindOf(named); k == userKind || k == roleKind {
				held[k] = append(held[k], named)
			}
		}
	}
	arns := map[string]string{}
	for k, ids := range held {
		found, err := entitiesByID(tx, k, ids)
		if err != nil {
			return nil, err
		}
		for id, e := range found {
			arns[id] = e.arn()
		}
	}
	shown := slices.Clone(documents)
	if len(arns) == 0 {
		return shown, nil
	}
	for i := range shown {
		shown[i] = policy.MapAWSPrincipals(shown[i], func(named string) string { return cmp.Or(arns[named], named) })
	}
	return shown, nil
}

// entitiesByID are the entities of a kind that have ids, as far as there are
// some, by these.
func entitiesByID(tx *store.Tx, k *kind, ids []string) (map[string]*entity, error) {
	found := make(map[string]*entity, len(ids))
	for some := range slices.Chunk(ids, maxIDs) {
		entities, err := selectEntitiesByID(tx, k, some)
		if err != nil {
			return nil, err
		}
		for _, e := range entities {
			found[e.id] = e
		}
	}
	return found, nil
}

// maxIDs is how many rows one query names.
const maxIDs = 512

// StorePrincipal is StorePrincipals for a principal that is named alone: the
// unique id of the user or role of an ARN, and other ARNs of principals as they
// are. A *policy.SyntaxError says that it names nobody.
func StorePrincipal(tx *store.Tx, named string) (string, error) {
	if !policy.IsPrincipal(named) {
		return "", unknownPrincipal(named)
	}
	return principalID(tx, named)
}

// PrincipalARNs are the ARNs of those users and roles of stored principals that
// still exist, by their ids.
func PrincipalARNs(tx *store.Tx, stored []string) (map[string]string, error) {
	arns := map[string]string{}
	for _, k := range []*kind{userKind, roleKind} {
		var ids []string
		for _, named := range stored {
			if kindOf(named) == k {
				ids = append(ids, named)
			}
		}
		found, err := entitiesByID(tx, k, ids)
		if err != nil {
			return nil, err
		}
		for id, e := range found {
			arns[id] = e.arn()
		}
	}
	return arns, nil
}
