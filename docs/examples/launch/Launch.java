// A signed launch of Countersign from an EHR without SMART, in Java (17 or newer, nothing else).
// usage: java Launch.java KEY.pem EHR_ID COUNTERSIGN_URL USER PATIENT_JSON
// Prints the address to which the EHR sends the browser. It works once, for a minute.
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.SecureRandom;
import java.security.Signature;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Instant;
import java.util.Base64;

public class Launch {
    private static String part(byte[] data) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(data);
    }

    private static String text(String value) {
        return "\"" + value.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
    }

    public static void main(String[] args) throws Exception {
        String pem = Files.readString(Path.of(args[0])).replaceAll("-----[A-Z ]+-----|\\s", "");
        var spec = new PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem));
        var key = KeyFactory.getInstance("EC").generatePrivate(spec);
        long now = Instant.now().getEpochSecond();
        byte[] once = new byte[32];
        new SecureRandom().nextBytes(once); // never the same again
        String claims = "{\"iss\":" + text(args[1]) // the ID that `countersign admin ehr` printed
            + ",\"aud\":" + text(args[2]) // server.public_url
            + ",\"sub\":" + text(args[3]) // the user, as `countersign admin ehr-user` connected them
            + ",\"patient\":" + args[4] // id, name, birth_date (YYYY-MM-DD), mrn
            + ",\"iat\":" + now + ",\"exp\":" + (now + 60) + ",\"jti\":" + text(part(once)) + "}";
        String header = "{\"alg\":\"ES256\",\"typ\":\"JWT\"}";
        String message = part(header.getBytes(StandardCharsets.UTF_8)) + "."
            + part(claims.getBytes(StandardCharsets.UTF_8));
        // r and s, 32 bytes each (IEEE P1363): not the DER form of SHA256withECDSA.
        Signature signer = Signature.getInstance("SHA256withECDSAinP1363Format");
        signer.initSign(key);
        signer.update(message.getBytes(StandardCharsets.UTF_8));
        System.out.println(args[2] + "/launch?token=" + message + "." + part(signer.sign()));
    }
}
