package call

import "context"

// An Op is one operation of one API. Make one with Bind.
type Op struct {
	Name string
	New  func() any // an empty input, a pointer to a generated struct
	run  func(context.Context, *Call, any) (any, error)

	// Reads says that the operation changes nothing, or only after Call.Confirm
	// has succeeded. It is run again if what it has read was out of date, and
	// nobody is given the answer before.
	Reads bool

	// Unsigned says that callers need no credentials: whoever they are, the
	// call has the zero Principal. The input alone proves what they may.
	Unsigned bool
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

// BindRead is Bind for an operation that Reads.
func BindRead[In, Out any](name string, serve func(context.Context, *Call, *In) (*Out, error)) Op {
	op := Bind(name, serve)
	op.Reads = true
	return op
}

// BindUnsigned is Bind for an operation that is Unsigned.
func BindUnsigned[In, Out any](name string, serve func(context.Context, *Call, *In) (*Out, error)) Op {
	op := Bind(name, serve)
	op.Unsigned = true
	return op
}

// Run serves one decoded call. in is what New made.
func (o Op) Run(ctx context.Context, c *Call, in any) (any, error) { return o.run(ctx, c, in) }

// A Service is one AWS API: how it is addressed on the wire, and its
// operations. Either Target is set or Version and Namespace are: that says
// which protocol it speaks. A generated package has these as constants.
type Service struct {
	Name      string // IAM prefix and signing name: "secretsmanager"
	Target    string // of the JSON protocol, the X-Amz-Target prefix: "secretsmanager"
	Version   string // of the query protocol: "2010-05-08"
	Namespace string // of the query protocol's XML

	// Discreet says that violations of the model's constraints tell neither
	// values nor enumerations, as IAM's.
	Discreet bool

	// Throttled is what a caller is told whose quota is used up; "" stands for
	// what most services say.
	Throttled string

	Ops []Op
}
