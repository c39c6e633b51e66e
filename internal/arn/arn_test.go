package arn

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]ARN{
		"arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db-AbCdEf": {"aws", "secretsmanager", "us-east-1", "111122223333", "secret:prod/db-AbCdEf"},
		"arn:aws:iam::111122223333:user/alice":                                {"aws", "iam", "", "111122223333", "user/alice"},
		"arn:aws:iam::aws:policy/AdministratorAccess":                         {"aws", "iam", "", "aws", "policy/AdministratorAccess"},
		"arn:aws-us-gov:s3:::bucket/a:b":                                      {"aws-us-gov", "s3", "", "", "bucket/a:b"},
	} {
		got, err := Parse(text)
		if err != nil {
			t.Errorf("Parse(%q): %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Parse(%q): %s", text, diff)
		}
		if got.String() != text {
			t.Errorf("Parse(%q) prints as %q", text, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"",
		"arn",
		"prod/db",
		"ARN:aws:iam::111122223333:user/alice",
		" arn:aws:iam::111122223333:user/alice",
		"arn:aws:iam::111122223333",
		"arn:aws:iam::111122223333:",
		"arn::iam::111122223333:user/alice",
		"arn:aws:::111122223333:user/alice",
		"arn:*:iam::111122223333:user/alice",
		"arn:aws:secrets*:us-east-1:111122223333:secret:x",
		"arn:aws:iam:US-EAST-1:111122223333:user/alice",
		"arn:aws:iam::11112222333:user/alice",
		"arn:aws:iam::11112222333x:user/alice",
		"arn:aws:iam::*:user/alice",
		"arn:aws:iam::111122223333:user/a\nb",
		"arn:aws:iam::111122223333:user/a\x7f",
		"arn:aws:iam::111122223333:" + strings.Repeat("x", maxLength),
	} {
		if got, err := Parse(text); err == nil {
			t.Errorf("Parse(%q) = %+v, want an error", text, got)
		}
	}
}

func TestParseTakesTheLongest(t *testing.T) {
	text := "arn:aws:iam::111122223333:"
	text += strings.Repeat("x", maxLength-len(text))
	if _, err := Parse(text); err != nil {
		t.Errorf("%d bytes: %v", len(text), err)
	}
	if _, err := Parse(text + "x"); err == nil {
		t.Errorf("%d bytes: want an error", len(text)+1)
	}
}

// form says again what Parse says in code, for texts that are not too long.
var form = regexp.MustCompile(`^arn:([a-z0-9-]+):([a-z0-9-]+):([a-z0-9-]*):(|aws|[0-9]{12}):([^\x00-\x1f\x7f]+)$`)

// FuzzParse: what is read is printed as it was written, and is of the form.
func FuzzParse(f *testing.F) {
	f.Add("arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db-AbCdEf")
	f.Add("arn:aws:iam::aws:policy/AdministratorAccess")
	f.Add("arn:::::")
	f.Add("arn:aws:s3:::\x00")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		if err != nil {
			if form.MatchString(s) && len(s) <= maxLength {
				t.Errorf("Parse(%q): %v, though it is of the form", s, err)
			}
			if a != (ARN{}) {
				t.Errorf("Parse(%q) = %+v beside error %v", s, a, err)
			}
			return
		}
		if a.String() != s {
			t.Errorf("Parse(%q) prints as %q", s, a)
		}
		if m := form.FindStringSubmatch(s); m == nil || a != (ARN{m[1], m[2], m[3], m[4], m[5]}) {
			t.Errorf("Parse(%q) is %+v, which is not of the form", s, a)
		}
	})
}
