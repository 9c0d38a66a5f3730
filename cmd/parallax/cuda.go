//go:build cuda

package main

import _ "parallax/kernels/cuda"
