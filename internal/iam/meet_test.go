package iam

import (
	"testing"

	model "azekura/internal/api/iam"
	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

// A change of what a policy or a group grants is held just before its commit,
// when it has told all whom it bears on, and another makes it bear on one more:
// that one has to wait. Else who looks at the user in between would keep what
// the user had until then, since nothing about the user changes any more.
func TestWhoJoinsAChangeWaitsForIt(t *testing.T) {
	allow, none := document(allowAll), document(`{"Effect":"Allow","Action":"sns:*","Resource":"*"}`)
	for name, test := range map[string]struct {
		prepare func(w *world, arn string)
		hold    func(w *world, tx *store.Tx) error
		join    func(w *world, arn string) error
	}{
		"a member of a group with the policy": {
			prepare: func(w *world, arn string) {
				do(w, w.AttachGroupPolicy, &model.AttachGroupPolicyInput{GroupName: new("g"), PolicyArn: &arn})
			},
			hold: newDefault, join: joinGroup,
		},
		"a member of a group with an inline policy": {
			prepare: func(w *world, arn string) {
				do(w, w.PutGroupPolicy, &model.PutGroupPolicyInput{GroupName: new("g"), PolicyName: new("i"), PolicyDocument: &allow})
			},
			hold: func(w *world, tx *store.Tx) error {
				g, err := selectEntity(tx, groupKind, account, "g", tx.ForUpdate())
				if err == nil {
					err = putInline(tx, inline{g.id, "i", none})
				}
				if err == nil {
					err = w.touch(tx, g)
				}
				return err
			},
			join: joinGroup,
		},
		"a user with the policy": {
			prepare: func(*world, string) {}, hold: newDefault,
			join: func(w *world, arn string) error {
				in := &model.AttachUserPolicyInput{UserName: new("u"), PolicyArn: &arn}
				_, err := w.AttachUserPolicy(w.t.Context(), w.call("AttachUserPolicy", in), in)
				return err
			},
		},
		"a group with the policy": {
			prepare: func(w *world, arn string) {
				do(w, w.AddUserToGroup, &model.AddUserToGroupInput{GroupName: new("g"), UserName: new("u")})
			},
			hold: newDefault,
			join: func(w *world, arn string) error {
				in := &model.AttachGroupPolicyInput{GroupName: new("g"), PolicyArn: &arn}
				_, err := w.AttachGroupPolicy(w.t.Context(), w.call("AttachGroupPolicy", in), in)
				return err
			},
		},
		"a user under the boundary": {
			prepare: func(w *world, arn string) {
				do(w, w.PutUserPolicy, &model.PutUserPolicyInput{UserName: new("u"), PolicyName: new("i"), PolicyDocument: &allow})
			},
			hold: newDefault,
			join: func(w *world, arn string) error {
				in := &model.PutUserPermissionsBoundaryInput{UserName: new("u"), PermissionsBoundary: &arn}
				_, err := w.PutUserPermissionsBoundary(w.t.Context(), w.call("PutUserPermissionsBoundary", in), in)
				return err
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := worldOver(t, storetest.Postgres(t))
			id := *do(w, w.CreateUser, &model.CreateUserInput{UserName: new("u")}).User.UserId
			do(w, w.CreateGroup, &model.CreateGroupInput{GroupName: new("g")})
			arn := *do(w, w.CreatePolicy, &model.CreatePolicyInput{PolicyName: new("p"), PolicyDocument: &allow}).Policy.Arn
			do(w, w.CreatePolicyVersion, &model.CreatePolicyVersionInput{PolicyArn: &arn, PolicyDocument: &none})
			test.prepare(w, arn)
			node := &world{Service: again(w.Service), t: t}

			held, release := make(chan struct{}, 1), make(chan struct{})
			changed, joined := make(chan error, 1), make(chan error, 1)
			go func() {
				changed <- w.db.Update(t.Context(), func(tx *store.Tx) error {
					if err := test.hold(w, tx); err != nil {
						return err
					}
					held <- struct{}{}
					<-release
					return nil
				})
			}()
			<-held
			go func() { joined <- test.join(w, arn) }()
			early := false
			for !early && !w.somebodyWaits() {
				select {
				case err := <-joined:
					joined <- err
					early = true
				default:
				}
			}
			node.may(id, "kms:ListKeys") // is cached now
			close(release)
			for _, done := range []chan error{changed, joined} {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			if early {
				t.Error("it did not wait")
			}
			if node.may(id, "kms:ListKeys") {
				t.Error("the user may still what the policy granted before the change")
			}
		})
	}
}

// newDefault makes the second version of p its default.
func newDefault(w *world, tx *store.Tx) error {
	p, err := selectPolicy(tx, account, "p", tx.ForUpdate())
	if err == nil {
		err = w.setDefault(tx, p, 2, p.updated)
	}
	if err == nil {
		err = updatePolicy(tx, p)
	}
	return err
}

func joinGroup(w *world, _ string) error {
	in := &model.AddUserToGroupInput{GroupName: new("g"), UserName: new("u")}
	_, err := w.AddUserToGroup(w.t.Context(), w.call("AddUserToGroup", in), in)
	return err
}

// somebodyWaits says whether a transaction waits for a lock.
func (w *world) somebodyWaits() bool {
	w.t.Helper()
	n := 0
	err := w.db.View(w.t.Context(), func(tx *store.Tx) (err error) {
		n, err = store.One(tx, one[int], `SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n > 0
}
