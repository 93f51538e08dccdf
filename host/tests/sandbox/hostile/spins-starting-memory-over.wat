;; Copies a passive data segment into memory again and again.
;; ends: parked guest_fuel_exhausted fuel
;; === items
(data $d "(;repeat 60000;)x(;end;)")
;; === body
(loop $l
  (memory.init $d (i32.const 65536) (i32.const 0) (i32.const 60000))
  (br $l))
unreachable
