package crash

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"azekura/test/model"
)

const (
	secrets      = 5 // of each writer
	mostVersions = 20
)

// writes are the changes that writers make.
var writes = []string{
	model.Create, model.Put, model.PutPending, model.Update, model.Move, model.Delete, model.Schedule, model.Restore,
	model.Tag, model.Untag, model.SetPolicy, model.RemovePolicy,
}

// A belief is what the one writer of a secret knows of it.
type belief struct {
	name  string
	may   []model.State // what it may be: more than one after a change without an answer
	again *model.Call   // that change
}

// learn draws conclusions from an answer.
func (b *belief) learn(c model.Call, answer string) error {
	var after []model.State
	for _, s := range b.may {
		if next, want := s.Apply(c); want == answer && !slices.Contains(after, next) {
			after = append(after, next)
		}
	}
	if after == nil {
		return fmt.Errorf("%+v was answered %q, but the secret may only be\n%+v", c, answer, b.may)
	}
	b.may = after
	return nil
}

// doubt notes a change that has no answer: it was made wholly, or not at all.
func (b *belief) doubt(c model.Call) {
	for _, s := range b.may {
		if next, _ := s.Apply(c); !slices.Contains(b.may, next) {
			b.may = append(b.may, next)
		}
	}
	b.again = &c
}

// next makes up a change. After one without an answer it is often the same
// once more, with the same token, as SDKs do.
func (b *belief) next(id string) model.Call {
	if again := b.again; again != nil {
		b.again = nil
		if rand.IntN(2) == 0 {
			return *again
		}
	}
	s := b.may[0]
	op := writes[rand.IntN(len(writes))]
	switch {
	case s.Life == model.Absent && rand.IntN(10) > 0:
		op = model.Create
	case s.Life == model.Scheduled && rand.IntN(4) > 0:
		op = model.Restore
	case len(s.IDs()) >= mostVersions: // far from the quota, beyond which old ones go
		op = model.Delete
	case op == model.Delete && rand.IntN(3) > 0:
		op = model.Put
	}
	return b.call(op, id)
}

func (b *belief) call(op, id string) model.Call {
	c := model.Call{Op: op, Secret: b.name}
	switch op {
	case model.Create, model.Put, model.PutPending:
		c.Version = id
	case model.Update:
		c.Version, c.Text = id, "described in "+id
	case model.Tag, model.SetPolicy:
		c.Text = fmt.Sprintf("text%d", rand.IntN(1_000_000))
	case model.Move:
		b.move(&c)
	}
	return c
}

// move is of a label, from who has it, to any version, or for some to none.
func (b *belief) move(c *model.Call) {
	s := b.may[0]
	labels := []string{model.Current, model.Current, model.Pending, model.Release}
	c.Label = labels[rand.IntN(len(labels))]
	c.From = s.On(c.Label)
	if ids := s.IDs(); len(ids) > 0 && (c.Label == model.Current || rand.IntN(4) > 0) {
		c.Version = ids[rand.IntN(len(ids))]
	}
	if c.Label == model.Current && s.Pending != "" && rand.IntN(2) == 0 { // as a rotation ends
		c.Version = s.Pending
	}
}
