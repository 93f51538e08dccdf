;; A transform of `crossdock:transform@1.0.0`, written by hand. It stands for every component that was ever built against that
;; version: it was made by no toolchain of ours, so none can move it along when the contract moves. It is never changed, and
;; it must run for as long as version 1 is supported (docs/decisions/contract.md).
;;
;; What it does with a document:
;;   - writes the context to the log, a field a line, each level once: tenant (debug), scheme (info), source (warn),
;;     target (error), received-at (info);
;;   - looks the document's key up in the table `units`;
;;   - no such table: rejects with `no_table`, about the field `/key`;
;;   - no such entry: skips with `not_listed`, about no field;
;;   - an entry: emits three bills, whose bodies are the document, the parameters and the entry, as they came.
(component
  ;; ---- What it imports: the three interfaces, every type written out. ----
  (import "crossdock:transform/types@1.0.0" (instance $types
    (type $document (record (field "key" string) (field "body" string)))
    (export "document" (type $document' (eq $document)))
    (type $target-document (record (field "key" string) (field "body" string)))
    (export "target-document" (type $target-document' (eq $target-document)))
    (type $field (option string))
    (type $reason (record (field "code" string) (field "message" string) (field "field" $field)))
    (export "reason" (type $reason' (eq $reason)))
    (type $bills (list $target-document'))
    (type $outcome (variant (case "emit" $bills) (case "skip" $reason') (case "reject" $reason')))
    (export "outcome" (type $outcome' (eq $outcome)))
    (type $context (record
      (field "tenant" string) (field "scheme" string) (field "source" string) (field "target" string)
      (field "parameters" string) (field "received-at" string)))
    (export "context" (type $context' (eq $context)))
    (type $description (record
      (field "name" string) (field "version" string) (field "source" string) (field "target" string)
      (field "parameters-schema" string)))
    (export "description" (type $description' (eq $description)))))
  (import "crossdock:transform/log@1.0.0" (instance $log
    (type $level (enum "debug" "info" "warn" "error"))
    (export "level" (type $level' (eq $level)))
    (export "write" (func (param "level" $level') (param "message" string)))))
  (import "crossdock:transform/reference@1.0.0" (instance $reference
    (type $lookup-error (variant (case "unknown-table")))
    (export "lookup-error" (type $lookup-error' (eq $lookup-error)))
    (type $entry (option string))
    (type $answer (result $entry (error $lookup-error')))
    (export "lookup" (func (param "table" string) (param "key" string) (result $answer)))))
  (alias export $types "document" (type $document))
  (alias export $types "context" (type $context))
  (alias export $types "outcome" (type $outcome))
  (alias export $types "description" (type $description))

  ;; ---- Memory, and a heap from 64 KiB on that only grows: an instance lives for a batch at most. ----
  (core module $Heap
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 65536))
    (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (block $fits
        (br_if $fits (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
        (br_if $fits (i32.ne (i32.const -1)
          (memory.grow (i32.add (i32.const 1) (i32.div_u (local.get $size) (i32.const 65536))))))
        (unreachable))
      (local.get $at)))
  (core instance $heap (instantiate $Heap))
  (alias core export $heap "memory" (core memory $memory))
  (alias core export $heap "realloc" (core func $realloc))
  (core func $write (canon lower (func $log "write") string-encoding=utf8 (memory $memory)))
  (core func $lookup
    (canon lower (func $reference "lookup") string-encoding=utf8 (memory $memory) (realloc $realloc)))

  ;; ---- The transform. Memory: 0 a description, 64 an outcome, 128 an answer, 160 three bills, 256 on its texts. ----
  (core module $Transform
    (import "heap" "memory" (memory 2))
    (import "host" "write" (func $write (param $level i32) (param $text i32) (param $length i32)))
    (import "host" "lookup" (func $lookup
      (param $table i32) (param $table_length i32) (param $key i32) (param $key_length i32) (param $answer i32)))
    (data (i32.const 256) "contract-fixture")
    (data (i32.const 288) "1.0.0")
    (data (i32.const 320) "fixture:document")
    (data (i32.const 352) "fixture:bill")
    (data (i32.const 384) "{\22type\22:\22object\22}")
    (data (i32.const 416) "units")
    (data (i32.const 448) "no_table")
    (data (i32.const 480) "the scheme has no table units")
    (data (i32.const 512) "not_listed")
    (data (i32.const 544) "the table units has no such key")
    (data (i32.const 576) "/key")
    (data (i32.const 608) "parameters")
    (data (i32.const 640) "entry")

    ;; A string in memory: where it is, and how long.
    (func $text (param $at i32) (param $text i32) (param $length i32)
      (i32.store (local.get $at) (local.get $text))
      (i32.store offset=4 (local.get $at) (local.get $length)))

    (func (export "describe") (result i32)
      (call $text (i32.const 0) (i32.const 256) (i32.const 16))
      (call $text (i32.const 8) (i32.const 288) (i32.const 5))
      (call $text (i32.const 16) (i32.const 320) (i32.const 16))
      (call $text (i32.const 24) (i32.const 352) (i32.const 12))
      (call $text (i32.const 32) (i32.const 384) (i32.const 17))
      (i32.const 0))

    (func (export "transform")
      (param $tenant i32) (param $tenant_length i32) (param $scheme i32) (param $scheme_length i32)
      (param $source i32) (param $source_length i32) (param $target i32) (param $target_length i32)
      (param $parameters i32) (param $parameters_length i32) (param $received i32) (param $received_length i32)
      (param $key i32) (param $key_length i32) (param $body i32) (param $body_length i32)
      (result i32)
      (call $write (i32.const 0) (local.get $tenant) (local.get $tenant_length))
      (call $write (i32.const 1) (local.get $scheme) (local.get $scheme_length))
      (call $write (i32.const 2) (local.get $source) (local.get $source_length))
      (call $write (i32.const 3) (local.get $target) (local.get $target_length))
      (call $write (i32.const 1) (local.get $received) (local.get $received_length))
      (call $lookup (i32.const 416) (i32.const 5) (local.get $key) (local.get $key_length) (i32.const 128))
      ;; result: its case is at 128; option: at 132; the entry's text: at 136.
      (if (i32.load8_u (i32.const 128)) (then (return (call $no_table))))
      (if (i32.eqz (i32.load8_u (i32.const 132))) (then (return (call $not_listed))))
      (call $text (i32.const 160) (local.get $key) (local.get $key_length))
      (call $text (i32.const 168) (local.get $body) (local.get $body_length))
      (call $text (i32.const 176) (i32.const 608) (i32.const 10))
      (call $text (i32.const 184) (local.get $parameters) (local.get $parameters_length))
      (call $text (i32.const 192) (i32.const 640) (i32.const 5))
      (call $text (i32.const 200) (i32.load (i32.const 136)) (i32.load (i32.const 140)))
      ;; emit, with a list of three from 160 on
      (i32.store8 (i32.const 64) (i32.const 0))
      (call $text (i32.const 68) (i32.const 160) (i32.const 3))
      (i32.const 64))

    (func $not_listed (result i32)
      (i32.store8 (i32.const 64) (i32.const 1))
      (call $text (i32.const 68) (i32.const 512) (i32.const 10))
      (call $text (i32.const 76) (i32.const 544) (i32.const 31))
      (i32.store8 (i32.const 84) (i32.const 0))
      (i32.const 64))

    (func $no_table (result i32)
      (i32.store8 (i32.const 64) (i32.const 2))
      (call $text (i32.const 68) (i32.const 448) (i32.const 8))
      (call $text (i32.const 76) (i32.const 480) (i32.const 29))
      (i32.store8 (i32.const 84) (i32.const 1))
      (call $text (i32.const 88) (i32.const 576) (i32.const 4))
      (i32.const 64)))
  (core instance $host (export "write" (func $write)) (export "lookup" (func $lookup)))
  (core instance $transform (instantiate $Transform
    (with "heap" (instance $heap)) (with "host" (instance $host))))

  ;; ---- What it exports. ----
  (func (export "describe") (result $description)
    (canon lift (core func $transform "describe") string-encoding=utf8 (memory $memory)))
  (func (export "transform") (param "context" $context) (param "document" $document) (result $outcome)
    (canon lift (core func $transform "transform") string-encoding=utf8 (memory $memory) (realloc $realloc)))
)
