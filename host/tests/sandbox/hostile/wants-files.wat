;; Imports functions that would read files.
;; ends: refused module_refused
;; says: evil:host/files
;; === wit
package evil:host; interface files { steal: func(); }
;; === world
import evil:host/files;
;; === imports
(import "evil:host/files" "steal" (func $steal))
;; === body
(call $steal) unreachable
