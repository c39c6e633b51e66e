package iam

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	model "azekura/internal/api/iam"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// Documents keep ids for the users and roles that they name, and are shown
// with the ARNs of those that are still there.
func TestPrincipals(t *testing.T) {
	each(t, func(w *world) {
		ann := do(w, w.CreateUser, &model.CreateUserInput{UserName: new("Ann"), Path: new("/eng/")}).User
		r := w.role("r", "/")
		in := func(tx func(*store.Tx, string) (string, error), text string) (out string, err error) {
			err = w.db.View(w.t.Context(), func(t *store.Tx) error {
				out, err = tx(t, text)
				return err
			})
			return out, err
		}
		shape := `{ "Version":"2012-10-17","Statement":[
			{"Effect":"Allow", "Principal" : {"AWS":[%q , %q,"111111111111","arn:aws:iam::222222222222:root"], "Service":"x.amazonaws.com"}, "Action":"sts:AssumeRole"},
			{"Effect":"Deny","NotPrincipal":{"AWS": %[1]q},"Action":"sts:*","Condition":{"StringEquals":{"AWS":%[1]q}}}] }` + "\n"
		text := strings.Replace(fmt.Sprintf(shape, *ann.Arn, r.arn()), `{"StringEquals":{"AWS"`, `{"StringEquals":{"aws:x"`, 1)
		stored, err := in(StorePrincipals, text)
		want := strings.NewReplacer(`"AWS":["`+*ann.Arn, `"AWS":["`+*ann.UserId, `, "`+r.arn(), `, "`+r.id, `"AWS": "`+*ann.Arn, `"AWS": "`+*ann.UserId).Replace(text)
		if err != nil || stored != want {
			w.t.Fatalf("stored as %s, %v; want %s", stored, err, want)
		}
		if shown, err := in(ShowPrincipals, stored); err != nil || shown != text {
			w.t.Errorf("shown as %s, %v", shown, err)
		}
		if again, err := in(StorePrincipals, stored); err != nil || again != stored {
			w.t.Errorf("stored again as %s, %v", again, err)
		}
		do(w, w.UpdateUser, &model.UpdateUserInput{UserName: new("ann"), NewUserName: new("anna")})
		if shown, err := in(ShowPrincipals, stored); err != nil || !strings.Contains(shown, `"AWS": "arn:aws:iam::111111111111:user/eng/anna"`) {
			w.t.Errorf("renamed, it is shown as %s, %v", shown, err)
		}
		do(w, w.DeleteUser, &model.DeleteUserInput{UserName: new("anna")})
		do(w, w.CreateUser, &model.CreateUserInput{UserName: new("Ann"), Path: new("/eng/")})
		if shown, err := in(ShowPrincipals, stored); err != nil || !strings.Contains(shown, `"AWS": "`+*ann.UserId+`"`) || !strings.Contains(shown, r.arn()) {
			w.t.Errorf("when the user is another, it is shown as %s, %v", shown, err)
		}
		for _, named := range []string{
			"arn:aws:iam::111111111111:user/eve", "arn:aws:iam::111111111111:user/Ann", "arn:aws:iam::111111111111:user/eng/ann",
			"arn:aws:iam::111111111111:role/eng/Ann", "arn:aws:iam::222222222222:user/eng/Ann", *ann.UserId, "AROAAAAAAAAAAAAAAAAAA",
		} {
			_, err := in(StorePrincipals, fmt.Sprintf(`{"Statement":{"Principal":{"AWS":%q}}}`, named))
			fault, ok := errors.AsType[*policy.SyntaxError](err)
			if want := `Invalid principal in policy: "AWS":"` + named + `"`; !ok || fault.Message != want || fault.Principal != named {
				w.t.Errorf("%s: %v", named, err)
			}
		}
		for _, kept := range []string{
			`{"Statement":{"Principal":"*"}}`, `{"Statement":{"Principal":{"AWS":"*"}}}`,
			`{"Statement":{"Principal":{"AWS":"arn:aws:sts::111111111111:assumed-role/none/s"}}}`,
			`{"Statement":{"Principal":{"Federated":"arn:aws:iam::111111111111:oidc-provider/none"}}}`,
		} {
			if stored, err := in(StorePrincipals, kept); err != nil || stored != kept {
				w.t.Errorf("%s is stored as %s, %v", kept, stored, err)
			}
		}
	})
}
