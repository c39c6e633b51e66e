package call

import "context"

// An Op is one operation of one API. Make one with Bind.
type Op struct {
	Name string
	New  func() any // an empty input, a pointer to a generated struct
	run  func(context.Context, *Call, any) (any, error)
}

// Bind ties an operation's name to the method that serves it. The method may
// be called concurrently; its input has met every constraint of the model. A
// nil *Out is the answer of an operation without output.
func Bind[In, Out any](name string, serve func(context.Context, *Call, *In) (*Out, error)) Op {
	return Op{
		Name: name,
		New:  func() any { return new(In) },
		run: func(ctx context.Context, c *Call, in any) (any, error) {
			out, err := serve(ctx, c, in.(*In))
			if err != nil || out == nil {
				return nil, err
			}
			return out, nil
		},
	}
}

// Run serves one decoded call. in is what New made.
func (o Op) Run(ctx context.Context, c *Call, in any) (any, error) { return o.run(ctx, c, in) }

// A Service is one AWS API: how it is addressed on the wire, and its
// operations.
type Service struct {
	Name   string // IAM prefix and signing name: "secretsmanager"
	Target string // X-Amz-Target prefix: "secretsmanager"
	Ops    []Op
}
