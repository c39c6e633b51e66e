package apitest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"azekura/internal/api"
	"azekura/internal/api/apitest"
	"azekura/internal/api/secretsmanager"
)

type item struct {
	Key   *string `api:"required,min=2"`
	Other *string
}

type input struct {
	Id       *string           `api:"required,min=1,max=9"`
	Empty    *string           `api:"required"`
	Optional *string           `api:"min=3"`
	Region   *string           `api:"required,min=1,pattern=^([a-z]+-)+\\d+$"`
	Token    *api.Sensitive    `api:"required,min=5,pattern=^[a-zA-Z0-9\\-]+$"`
	Hours    *string           `api:"required,min=2,max=3,pattern=[0-9]+h"`
	Choice   *string           `api:"required,enum=b|a"`
	Count    *int64            `api:"required,min=4,max=9"`
	Below    *int64            `api:"required,max=-1"`
	On       *bool             `api:"required"`
	Blob     api.SensitiveBlob `api:"required,min=2"`
	Names    []string          `api:"required,min=2" elem:"min=1"`
	Items    []item            `api:"required,min=1"`
	None     []item            `api:"required"`
	Map      map[string]string `api:"required,min=1" key:"min=1" elem:"min=2"`
	Inner    *item             `api:"required"`
}

func TestSmallest(t *testing.T) {
	want := input{
		Id:     new("a"),
		Empty:  new(""),
		Region: new("a-0"),
		Token:  new(api.Sensitive("aaaaa")),
		Hours:  new("0h"),
		Choice: new("b"),
		Count:  new(int64(4)),
		Below:  new(int64(-1)),
		On:     new(false),
		Blob:   api.SensitiveBlob{0, 0},
		Names:  []string{"a", "a"},
		Items:  []item{{Key: new("aa")}},
		None:   []item{},
		Map:    map[string]string{"a": "aa"},
		Inner:  &item{Key: new("aa")},
	}
	got := input{Optional: new("left over")}
	apitest.Smallest(&got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSmallestOfModel(t *testing.T) {
	var got secretsmanager.UpdateSecretVersionStageInput
	apitest.Smallest(&got)
	want := secretsmanager.UpdateSecretVersionStageInput{SecretId: new("a"), VersionStage: new("a")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSmallestPanics(t *testing.T) {
	for name, in := range map[string]any{
		"value": input{},
		"contradiction": new(struct {
			S *string `api:"required,min=2,pattern=[0-9]"`
		}),
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
			}()
			apitest.Smallest(in)
		})
	}
}
