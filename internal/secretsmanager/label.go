package secretsmanager

import (
	"database/sql/driver"
	"maps"
	"slices"

	model "azekura/internal/api/secretsmanager"
	"azekura/internal/store"
)

// The staging labels that move by themselves. Every other text is a custom
// label, whatever it looks like.
const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
	pending  = "AWSPENDING"
)

// maxLabels is AWS's quota of staging labels over all versions of a secret.
const maxLabels = 20

// labels says which version each staging label of a secret is on. A label is
// on at most one version; a version without one is deprecated.
type labels map[string]string

// Value is the labels as the database keeps them, a JSON object.
func (l labels) Value() (driver.Value, error) { return store.JSON(map[string]string(l)) }

// Scan reads what Value wrote.
func (l *labels) Scan(column any) error { return store.ScanJSON(column, (*map[string]string)(l)) }

// has says whether a version has any label.
func (l labels) has(version string) bool {
	for _, v := range l {
		if v == version {
			return true
		}
	}
	return false
}

// versions lists the versions that have labels, in the order of their ids.
func (l labels) versions() []string { return slices.Compact(slices.Sorted(maps.Values(l))) }

// of lists the labels of a version in byte order; nil if it is deprecated.
func (l labels) of(version string) []string {
	var on []string
	for label, v := range l {
		if v == version {
			on = append(on, label)
		}
	}
	slices.Sort(on)
	return on
}

// clone is a copy that may be changed.
func (l labels) clone() labels {
	c := make(labels, len(l)+1)
	maps.Copy(c, l)
	return c
}

// put attaches stages to a version that has just got its value. A secret's
// first version becomes AWSCURRENT whatever stages says. A value that becomes
// AWSCURRENT while another version is AWSPENDING abandons that rotation: the
// pending label goes, unless the new version is the pending one.
func (l labels) put(version string, stages []string) {
	if len(l) == 0 || slices.Contains(stages, current) {
		l.promote(version)
		if l[pending] != version {
			delete(l, pending)
		}
	}
	for _, stage := range stages {
		if stage != current {
			l[stage] = version
		}
	}
}

// promote moves AWSCURRENT to a version. Who had it becomes AWSPREVIOUS and
// keeps its custom labels, but never AWSPENDING.
func (l labels) promote(version string) {
	old, had := l[current]
	if old == version {
		return
	}
	if had {
		l[previous] = old
		if l[pending] == old {
			delete(l, pending)
		}
	}
	l[current] = version
}

// move does what UpdateSecretVersionStage asks: it takes stage off the version
// from and puts it on the version to. Either may be nil, and who has the label
// must be named. The versions must exist.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
func (l labels) move(stage string, to, from *string) error {
	holder, held := l[stage]
	switch {
	case to == nil && from == nil:
		return model.InvalidParameter("You must specify MoveToVersionId, RemoveFromVersionId, or both.")
	case to != nil && from == nil && held && *to != holder:
		return model.InvalidParameter("The parameter RemoveFromVersionId can't be empty. Staging label %s is currently attached to version %s, so you must explicitly reference that version in RemoveFromVersionId.", stage, holder)
	case from != nil && *from != holder:
		return model.InvalidParameter("When you move staging label %[1]s, if you specify RemoveFromVersionId, it must be set to the version that currently has the staging label %[1]s.", stage)
	case to == nil && stage == current:
		return model.InvalidParameter("You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.")
	case to == nil:
		delete(l, stage)
	case stage == current:
		l.promote(*to)
	default:
		l[stage] = *to
	}
	return nil
}
