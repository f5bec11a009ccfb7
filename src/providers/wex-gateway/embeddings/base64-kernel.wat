;; Decodes base64 into float32 values in place, sixteen characters at a time, and says whether they are finite.
;;
;; The `length` characters at address 0 become the bytes at address 0, three for four characters: what is written never reaches what is still
;; to be read. Behind the characters there must be `A`, which stands for zero bits, up to a multiple of 16.
;; Returns 0, or 1 for a character outside of the alphabet (RFC 4648, section 4, without padding), 2 for a value that is not finite.
(module
  (memory (export "memory") 1 1)
  (func (export "decode") (param $length i32) (result i32)
    (local $from i32) (local $to i32)
    (local $chars v128) (local $high v128) (local $sextets v128) (local $values v128)
    (local $foreign v128) (local $infinite v128)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $from) (local.get $length)))
        (local.set $chars (v128.load (local.get $from)))
        (local.set $high (i8x16.shr_u (local.get $chars) (i32.const 4)))
        ;; Two tables of which characters do not belong, by their lower and by their upper four bits (after Mula and Lemire, arXiv:1704.00605).
        ;; Upper 2 goes with + and / only (bit 0), 3 with digits (bit 1), 4 and 6 with the first 15 letters (bit 2), 5 and 7 with the others (bit 3),
        ;; and no other goes with anything (bit 4).
        (local.set $foreign (v128.or (local.get $foreign) (v128.and
          (i8x16.swizzle
            (v128.const i8x16 0x15 0x11 0x11 0x11 0x11 0x11 0x11 0x11 0x11 0x11 0x13 0x1a 0x1b 0x1b 0x1b 0x1a)
            (v128.and (local.get $chars) (v128.const i32x4 0x0f0f0f0f 0x0f0f0f0f 0x0f0f0f0f 0x0f0f0f0f)))
          (i8x16.swizzle
            (v128.const i8x16 0x10 0x10 0x01 0x02 0x04 0x08 0x04 0x08 0x10 0x10 0x10 0x10 0x10 0x10 0x10 0x10)
            (local.get $high)))))
        ;; What to add for the six bits that a character stands for depends on its upper bits; the slash alone shares them with the plus.
        (local.set $sextets (i8x16.add (local.get $chars) (i8x16.swizzle
          (v128.const i8x16 0 16 19 4 -65 -65 -71 -71 0 0 0 0 0 0 0 0)
          (i8x16.add (local.get $high)
            (i8x16.eq (local.get $chars) (v128.const i32x4 0x2f2f2f2f 0x2f2f2f2f 0x2f2f2f2f 0x2f2f2f2f))))))
        ;; Four times six bits to 24, the first character highest, and their bytes in order.
        (local.set $values (v128.or
          (v128.or
            (i32x4.shl (v128.and (local.get $sextets) (v128.const i32x4 0x3f 0x3f 0x3f 0x3f)) (i32.const 18))
            (i32x4.shl (v128.and (local.get $sextets) (v128.const i32x4 0x3f00 0x3f00 0x3f00 0x3f00)) (i32.const 4)))
          (v128.or
            (i32x4.shr_u (v128.and (local.get $sextets) (v128.const i32x4 0x3f0000 0x3f0000 0x3f0000 0x3f0000)) (i32.const 10))
            (i32x4.shr_u (local.get $sextets) (i32.const 24)))))
        ;; The fourth of the values is zero: the top byte of each lane is.
        (local.set $values (i8x16.shuffle 2 1 0 6 5 4 10 9 8 14 13 12 3 3 3 3 (local.get $values) (local.get $values)))
        (v128.store (local.get $to) (local.get $values))
        ;; Without its sign a float32 is a number that grows with it; infinity is 0x7f800000, and not-a-number is beyond.
        (local.set $infinite (v128.or (local.get $infinite) (i32x4.ge_s
          (v128.and (local.get $values) (v128.const i32x4 0x7fffffff 0x7fffffff 0x7fffffff 0x7fffffff))
          (v128.const i32x4 0x7f800000 0x7f800000 0x7f800000 0x7f800000))))
        (local.set $from (i32.add (local.get $from) (i32.const 16)))
        (local.set $to (i32.add (local.get $to) (i32.const 12)))
        (br $next)))
    (if (v128.any_true (local.get $foreign)) (then (return (i32.const 1))))
    (if (v128.any_true (local.get $infinite)) (then (return (i32.const 2))))
    (i32.const 0)))
