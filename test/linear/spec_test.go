package linear

import (
	"time"

	"github.com/anishathalye/porcupine"

	"azekura/test/model"
)

// patience bounds the search for one order. One that exists is mostly found in
// milliseconds; seldom calls overlap so that there are too many to try.
const patience = 20 * time.Second

// explain looks for an order of the calls on one secret that explains the
// answers.
func explain(calls []called) porcupine.CheckResult {
	operations := make([]porcupine.Operation, len(calls))
	for i, c := range calls {
		operations[i] = porcupine.Operation{ClientId: c.client, Input: c.call, Call: c.begin, Output: c.answer, Return: c.end}
	}
	return porcupine.CheckOperationsTimeout(specification(), operations, patience)
}

func specification() porcupine.Model {
	spec := porcupine.NondeterministicModel{
		Init: func() []any { return []any{model.State{}} },
		Step: func(before, in, answer any) []any {
			after, want := before.(model.State).Apply(in.(model.Call))
			switch answer.(string) {
			case want:
				return []any{after}
			case unknown:
				return []any{before, after}
			}
			return nil
		},
	}
	return spec.ToModel()
}
