;; Draws a terabyte of random bytes at once, which cost by the byte.
;; ends: parked guest_fuel_exhausted fuel
;; === wit
package wasi:random@0.2.3; interface random { get-random-bytes: func(len: u64) -> list<u8>; }
;; === world
import wasi:random/random@0.2.3;
;; === imports
(import "wasi:random/random@0.2.3" "get-random-bytes" (func $draw (param i64 i32)))
;; === body
(call $draw (i64.const 1099511627776) (i32.const 2000)) unreachable
