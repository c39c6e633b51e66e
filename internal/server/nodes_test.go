package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"azekura/internal/server"
	"azekura/internal/server/servertest"
	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

// nodes starts two servers over one database.
func nodes(t *testing.T) []*servertest.Server {
	t.Helper()
	cfg := servertest.Config(t)
	cfg.DatabaseURL = storetest.PostgresURL(t)
	first := servertest.Start(t, cfg)
	cfg.DataDir = filepath.Join(t.TempDir(), "second")
	if _, err := server.New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "root key") {
		t.Fatalf("a second server without the root key: %v", err)
	}
	key, err := os.ReadFile(filepath.Join(first.Config.DataDir, "root-key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cfg.DataDir, "root-key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	return []*servertest.Server{first, servertest.Start(t, cfg)}
}

// Two servers over one database are one: what either acknowledged, of whatever
// kind, both show at once, though both have cached what was there before.
func TestServersShareADatabase(t *testing.T) {
	servers := nodes(t)
	type in = map[string]any
	secret := func(more in) in {
		more["SecretId"] = "a"
		return more
	}
	token := func(n int) string { return strings.Repeat("t", 31) + fmt.Sprint(n) }
	resource := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"secretsmanager:ListSecretVersionIds","Resource":"*"}]}`
	servers[0].MustCall(t, "CreateSecret", in{"Name": "a", "SecretString": "0", "ClientRequestToken": token(0)})
	for i, step := range []struct {
		op   string
		in   in
		ask  string
		want string // in the answer
	}{
		{"PutSecretValue", secret(in{"SecretString": "1", "ClientRequestToken": token(1)}), "GetSecretValue", `"SecretString":"1"`},
		{"UpdateSecret", secret(in{"SecretString": "2", "ClientRequestToken": token(2)}), "GetSecretValue", `"SecretString":"2"`},
		{"UpdateSecret", secret(in{"Description": "new"}), "DescribeSecret", `"Description":"new"`},
		{"UpdateSecretVersionStage", secret(in{"VersionStage": "AWSCURRENT", "MoveToVersionId": token(0), "RemoveFromVersionId": token(2)}),
			"GetSecretValue", `"SecretString":"0"`},
		{"UpdateSecretVersionStage", secret(in{"VersionStage": "mine", "MoveToVersionId": token(2)}), "DescribeSecret", `"mine"`},
		{"TagResource", secret(in{"Tags": []in{{"Key": "k", "Value": "tagged"}}}), "DescribeSecret", `"tagged"`},
		{"UntagResource", secret(in{"TagKeys": []string{"k"}}), "DescribeSecret", `"Tags":[]`},
		{"PutResourcePolicy", secret(in{"ResourcePolicy": resource}), "GetResourcePolicy", `Deny`},
		{"PutResourcePolicy", secret(in{"ResourcePolicy": resource}), "ListSecretVersionIds", `AccessDeniedException`},
		{"DeleteResourcePolicy", secret(in{}), "ListSecretVersionIds", `"Versions"`},
		{"DeleteResourcePolicy", secret(in{}), "GetResourcePolicy", `"Name":"a"}`},
		{"DeleteSecret", secret(in{}), "GetSecretValue", `InvalidRequestException`},
		{"RestoreSecret", secret(in{}), "GetSecretValue", `"SecretString":"0"`},
		{"DeleteSecret", secret(in{"ForceDeleteWithoutRecovery": true}), "GetSecretValue", `ResourceNotFoundException`},
		{"CreateSecret", in{"Name": "a", "SecretString": "another"}, "GetSecretValue", `"SecretString":"another"`},
	} {
		servers[i%2].MustCall(t, step.op, step.in)
		for n, s := range servers {
			status, body := s.Call(t, step.ask, in{"SecretId": "a"})
			text, err := json.Marshal(body)
			if err != nil || !strings.Contains(string(text), step.want) || (status == http.StatusOK) == strings.Contains(step.want, "Exception") {
				t.Errorf("%s through server %d, then %s through server %d: %d %s, %v; want %s", step.op, i%2, step.ask, n, status, text, err, step.want)
			}
		}
	}
}

// A caller is let in, and is refused, by what is true of the access key at the
// time of the call, which each server has cached.
func TestServersObeyAtOnce(t *testing.T) {
	servers := nodes(t)
	db, err := store.Open(t.Context(), store.Config{URL: servers[0].Config.DatabaseURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	set := func(status string) {
		t.Helper()
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE iam_access_keys SET status = $1, rev = rev + 1`, status)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		for n, s := range servers {
			for op, in := range map[string]map[string]any{"ListSecrets": {}, "GetRandomPassword": {}, "CreateSecret": {"Name": uuid.NewString(), "SecretString": `{"escaped": true}`}} {
				for _, step := range []struct {
					status string
					want   int
				}{{"Active", http.StatusOK}, {"Inactive", http.StatusBadRequest}, {"Active", http.StatusOK}} {
					set(step.status)
					if status, body := s.Call(t, op, in); status != step.want && body["__type"] != "ResourceExistsException" {
						t.Errorf("%s through server %d with a key that is %s: %d %v", op, n, step.status, status, body["__type"])
					}
				}
			}
		}
	}
}

// Changes of one secret through both servers at once come one after the other:
// none is lost, and each version of the secret was the current one in its turn.
func TestServersChangeOneSecret(t *testing.T) {
	servers := nodes(t)
	servers[0].MustCall(t, "CreateSecret", map[string]string{"Name": "a", "SecretString": "0"})
	const each = 15
	var writers sync.WaitGroup
	for i := range 4 {
		s := servers[i%2]
		writers.Go(func() {
			for n := range each {
				value := fmt.Sprintf("%d of writer %d", n, i)
				status, body, err := s.Do(t.Context(), "PutSecretValue", map[string]string{"SecretId": "a", "SecretString": value})
				if err != nil || status != http.StatusOK {
					t.Errorf("put: %d %v, %v", status, body["__type"], err)
				}
				status, body, err = s.Do(t.Context(), "TagResource", map[string]any{"SecretId": "a", "Tags": []map[string]string{{"Key": fmt.Sprint("writer", i), "Value": fmt.Sprint(n)}}})
				if err != nil || status != http.StatusOK {
					t.Errorf("tag: %d %v, %v", status, body["__type"], err)
				}
			}
		})
	}
	writers.Wait()
	for _, s := range servers {
		versions := s.MustCall(t, "ListSecretVersionIds", map[string]any{"SecretId": "a", "IncludeDeprecated": true})["Versions"].([]any)
		if len(versions) != 4*each+1 {
			t.Errorf("%d versions, want %d", len(versions), 4*each+1)
		}
		stages := map[string]int{}
		for _, v := range versions {
			held, _ := v.(map[string]any)["VersionStages"].([]any)
			for _, stage := range held {
				stages[stage.(string)]++
			}
		}
		if len(stages) != 2 || stages["AWSCURRENT"] != 1 || stages["AWSPREVIOUS"] != 1 {
			t.Errorf("labels %v, want AWSCURRENT and AWSPREVIOUS once", stages)
		}
		tags := s.MustCall(t, "DescribeSecret", map[string]any{"SecretId": "a"})["Tags"].([]any)
		for _, tag := range tags {
			if got := tag.(map[string]any)["Value"]; got != fmt.Sprint(each-1) {
				t.Errorf("tag %v, want the last value", tag)
			}
		}
		if len(tags) != 4 {
			t.Errorf("%d tags, want 4", len(tags))
		}
	}
}
