package grpcring

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/experimental"

	"parallax/collective"
	"parallax/internal/direct"
)

const (
	// streamWindow and connWindow bound what is received ahead of the reader.
	// Setting only one of them leaves the other at 64 KiB.
	streamWindow = 8 << 20
	connWindow   = 16 << 20
	// ioBuffer is how much goes into one system call.
	ioBuffer = 256 << 10
	// maxMessage admits a header and the longest payload.
	maxMessage = collective.HeaderSize + collective.MaxChunkBytes
	// maxHeaders bounds what may come before a stream's first message: a claim.
	maxHeaders = 16 << 10
)

// frames is shared by all links of the process.
var frames = newFramePool()

// ServerOptions are what a grpc.Server needs for the ring to be fast. They do
// no harm to other services on it.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.InitialWindowSize(streamWindow),
		grpc.InitialConnWindowSize(connWindow),
		grpc.ReadBufferSize(ioBuffer),
		grpc.WriteBufferSize(ioBuffer),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxHeaderListSize(maxHeaders),
		experimental.BufferPool(frames),
	}
}

// Option adjusts how links are opened.
type Option func(*options)

type options struct {
	dial   []grpc.DialOption
	direct *direct.Dialer
}

// WithDialOptions adds to how the next rank is dialled: transport credentials, in
// place of plain TCP, or those of each call.
func WithDialOptions(opts ...grpc.DialOption) Option {
	return func(o *options) { o.dial = append(o.dial, opts...) }
}

// WithDirect has frames go to the next rank over a direct connection, if it offers
// one.
func WithDirect(d direct.Dialer) Option {
	return func(o *options) { o.direct = &d }
}

// DialOptions are what a connection to another node needs to be fast.
func DialOptions(opts ...Option) []grpc.DialOption {
	o := gather(opts)
	return o.dialOptions()
}

func gather(opts []Option) options {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

func (o *options) dialOptions() []grpc.DialOption {
	return append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(streamWindow),
		grpc.WithInitialConnWindowSize(connWindow),
		grpc.WithReadBufferSize(ioBuffer),
		grpc.WithWriteBufferSize(ioBuffer),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		experimental.WithBufferPool(frames),
		grpc.WithDisableRetry(), // a frame sent twice is an error
		grpc.WithDisableServiceConfig(),
		grpc.WithNoProxy(),
		grpc.WithIdleTimeout(0),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
			MinConnectTimeout: 2 * time.Second,
		}),
	}, o.dial...)
}
