"""What `sluice doctor` asks of checkouts and their tries."""

from gateway.storage.reading.checks import Check, Walk

__all__ = ["CHECKOUT_CHECKS"]

CHECKOUTS = Walk("checkouts", ("checkout_id",))

CHECKOUT_CHECKS = (
    Check(
        CHECKOUTS,
        """
        SELECT 'checkout' AS object, k.checkout_id AS object_id, k.status, p.payment_id FROM checkouts k
        JOIN payments p ON p.merchant_id = k.merchant_id AND p.checkout_id = k.checkout_id AND p.status = 'succeeded'
        WHERE ROWS(k, checkout_id) AND k.won_by IS DISTINCT FROM p.payment_id
        """,
        "checkout {object_id} is {status}, and its payment {payment_id} succeeded unheard of",
    ),
    Check(
        CHECKOUTS,
        """
        SELECT 'checkout' AS object, k.checkout_id AS object_id FROM checkouts k
        WHERE ROWS(k, checkout_id) AND k.status = 'succeeded'
            AND NOT EXISTS (SELECT FROM payments p WHERE p.merchant_id = k.merchant_id
                AND p.payment_id = k.won_by AND p.checkout_id = k.checkout_id AND p.status = 'succeeded')
            AND NOT EXISTS (SELECT FROM authentications t WHERE t.merchant_id = k.merchant_id
                AND t.authentication_id = k.won_by AND t.checkout_id = k.checkout_id AND t.status = 'succeeded')
        """,
        "checkout {object_id} succeeded, and none of its tries did",
    ),
    Check(
        CHECKOUTS,
        """
        SELECT 'checkout' AS object, k.checkout_id AS object_id, k.tries,
            (SELECT count(*) FROM payments p WHERE p.merchant_id = k.merchant_id AND p.checkout_id = k.checkout_id)
            + (SELECT count(*) FROM authentications t
                WHERE t.merchant_id = k.merchant_id AND t.checkout_id = k.checkout_id) AS found
        FROM checkouts k WHERE ROWS(k, checkout_id)
            AND k.tries <> (SELECT count(*) FROM payments p
                WHERE p.merchant_id = k.merchant_id AND p.checkout_id = k.checkout_id)
            + (SELECT count(*) FROM authentications t
                WHERE t.merchant_id = k.merchant_id AND t.checkout_id = k.checkout_id)
        """,
        "checkout {object_id} says that it was tried {tries} times, and there are {found}",
    ),
    Check(
        CHECKOUTS,
        """
        SELECT 'checkout' AS object, k.checkout_id AS object_id, k.status, p.payment_id FROM checkouts k
        JOIN payments p ON p.merchant_id = k.merchant_id AND p.checkout_id = k.checkout_id
            AND p.status IN ('processing', 'requires_action')
        WHERE ROWS(k, checkout_id) AND k.status <> 'open'
        """,
        "checkout {object_id} is {status}, and its payment {payment_id} is still open",
    ),
)
