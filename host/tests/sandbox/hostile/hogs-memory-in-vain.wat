;; Asks for four gigabytes and does without them.
;; ends: harmless
;; === body
(drop (memory.grow (i32.const 65532))) (call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
