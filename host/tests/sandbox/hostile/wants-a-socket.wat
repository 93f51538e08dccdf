;; Imports the network of WASI.
;; ends: refused module_refused
;; says: wasi:sockets
;; === wit
package wasi:sockets@0.2.3; interface instance-network { instance-network: func() -> u32; }
;; === world
import wasi:sockets/instance-network@0.2.3;
;; === imports
(import "wasi:sockets/instance-network@0.2.3" "instance-network" (func $net (result i32)))
;; === body
(drop (call $net)) unreachable
