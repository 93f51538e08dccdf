;; Writes lines of six megabytes each, which cost by the byte.
;; ends: parked guest_fuel_exhausted fuel
;; === body
(drop (memory.grow (i32.const 100)))
(memory.fill (i32.const 131072) (i32.const 120) (i32.const 6291456))
(loop $l (call $log (i32.const 1) (i32.const 131072) (i32.const 6291456)) (br $l))
unreachable
