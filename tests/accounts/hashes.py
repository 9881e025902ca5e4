"""Hashes of the password `secret`, and one of `test`."""

BCRYPT = "$2y$05$cUntG5m5RoIuxL2wswIsAu97ckbxYhxRFEwnRtCnw2EuPkg3/1fNO"
APR1 = "$apr1$KYTQvIAN$a.c9NQOV91NsPleuLYq.E1"
SHA1 = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="
CRYPT = "JwR84T0Vk9MKo"
SHA256 = "$5$0WG5styBzEtgJblK$Wf5tgYPs6HWOJpzU3RDp2KlANNsOEVFC12Yg1VyNNDA"
SHA512 = (
    "$6$Y/YkLdL/KEzd0ubu$KkX/75IQRlFqSrxqN8xwypxYrwaFHCgxC/J2qOrtb7RCBYomza4Bvf4L"
    "suASxiVS/ucZgEKESumeJo2XJCPMV1"
)
MD5 = "$1$ab$dslkcXxVH.x8LwW1W/oAB/"
OTHER = "$2y$04$5BJqKfqMQvV7nS.yUguNcueVirQqDBGaLXSqj.rs.pZPlNR0UX/HK"
"""Of `test`."""

HASHES = [BCRYPT, APR1, SHA1, CRYPT, SHA256, SHA512, MD5, OTHER]
