;; A thousand bills that are all the same megabyte of its memory: a gigabyte for the host.
;; ends: parked guest_output_too_large hostcall_bytes
;; === body
(drop (memory.grow (i32.const 32)))
(memory.fill (i32.const 1048576) (i32.const 49) (i32.const 1048576))
(local.set $i (i32.const 131072))
(loop $l
  (i32.store (local.get $i) (local.get $key)) (i32.store offset=4 (local.get $i) (local.get $key_len))
  (i32.store offset=8 (local.get $i) (i32.const 1048576)) (i32.store offset=12 (local.get $i) (i32.const 1048576))
  (local.set $i (i32.add (local.get $i) (i32.const 16)))
  (br_if $l (i32.lt_u (local.get $i) (i32.const 147072))))
(call $emit_list (i32.const 131072) (i32.const 1000))
